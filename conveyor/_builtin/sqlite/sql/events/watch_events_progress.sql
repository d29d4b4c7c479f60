-- Lets an event be written when a run says how far it is.
-- parameters: none
-- index: primary key of watchers, primary key of jobs
create trigger if not exists events_progress after update of progress on live
when new.progress is not null and exists (select 1 from watchers where queue in ('', new.queue))
begin
  insert into events (at, kind, queue, job_id, name, data)
  select cast((julianday('now') - 2440587.5) * 86400000000 as integer), 'progress', new.queue, id, new.name, new.progress
  from jobs
  where seq = new.seq;
end
