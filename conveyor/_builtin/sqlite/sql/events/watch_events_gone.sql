-- Lets an event be written when a job is settled that goes by that, and never has a record of its end.
-- parameters: none
-- index: unique (id) of jobs, primary key of watchers, primary key of history
create trigger if not exists events_gone after insert on removed
when exists (select 1 from watchers)
begin
  insert into events (at, kind, queue, job_id, name, data)
  select cast((julianday('now') - 2440587.5) * 86400000000 as integer), new.state, queue, id, name,
         case when new.state = 'completed' then new.result else new.error end
  from jobs
  where id = new.job_id
    and exists (select 1 from watchers where watchers.queue in ('', jobs.queue))
    and not exists (select 1 from history where history.seq = jobs.seq);
end
