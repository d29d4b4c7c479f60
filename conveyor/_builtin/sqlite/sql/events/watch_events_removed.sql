-- Lets an event be written when the record of a job goes.
-- parameters: none
-- index: primary key of conveyor_watchers
create trigger if not exists conveyor_events_removed after delete on conveyor_jobs
when exists (select 1 from conveyor_watchers where queue in ('', old.queue))
begin
  insert into conveyor_events (at, kind, queue, job_id, name)
  values (cast((julianday('now') - 2440587.5) * 86400000000 as integer), 'removed', old.queue, old.id, old.name);
end
