-- Lets an event be written when a job is settled that goes by that, and never has a record of its end.
-- parameters: none
-- index: unique (id) of jobs, primary key of conveyor_watchers, primary key of conveyor_history
create trigger if not exists conveyor_events_gone after insert on conveyor_removed
when exists (select 1 from conveyor_watchers as watchers)
begin
  insert into conveyor_events (at, kind, queue, job_id, name, data)
  select cast((julianday('now') - 2440587.5) * 86400000000 as integer), new.state, queue, id, name,
         case when new.state = 'completed' then new.result else new.error end
  from conveyor_jobs as jobs
  where id = new.job_id
    and exists (select 1 from conveyor_watchers as watchers where watchers.queue in ('', jobs.queue))
    and not exists (select 1 from conveyor_history as history where history.seq = jobs.seq);
end
