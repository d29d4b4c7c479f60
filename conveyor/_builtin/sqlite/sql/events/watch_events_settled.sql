-- Lets an event be written when a job is settled.
-- parameters: none
-- index: primary key of watchers, primary key of jobs
create trigger if not exists events_settled after insert on history
when exists (select 1 from watchers where queue in ('', new.queue))
begin
  insert into events (at, kind, queue, job_id, name, data)
  select cast((julianday('now') - 2440587.5) * 86400000000 as integer), new.state, new.queue, id, name,
         case when new.state = 'completed' then new.result else new.error end
  from jobs
  where seq = new.seq;
end
