-- Lets an event be written when a job is settled.
-- parameters: none
-- index: primary key of conveyor_watchers, primary key of conveyor_jobs
create trigger if not exists conveyor_events_settled after insert on conveyor_history
when exists (select 1 from conveyor_watchers where queue in ('', new.queue))
begin
  insert into conveyor_events (at, kind, queue, job_id, name, data)
  select cast((julianday('now') - 2440587.5) * 86400000000 as integer), new.state, new.queue, id, name,
         case when new.state = 'completed' then new.result else new.error end
  from conveyor_jobs
  where seq = new.seq;
end
