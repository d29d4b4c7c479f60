-- Lets an event be written when a run says how far it is.
-- parameters: none
-- index: primary key of conveyor_watchers, primary key of conveyor_jobs
create trigger if not exists conveyor_events_progress after update of progress on conveyor_live
when new.progress is not null and exists (select 1 from conveyor_watchers where queue in ('', new.queue))
begin
  insert into conveyor_events (at, kind, queue, job_id, name, data)
  select cast((julianday('now') - 2440587.5) * 86400000000 as integer), 'progress', new.queue, id, new.name,
    new.progress
  from conveyor_jobs
  where seq = new.seq;
end
