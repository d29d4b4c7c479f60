-- Lets an event be written when a job is added.
-- parameters: none
-- index: primary key of conveyor_watchers
create trigger if not exists conveyor_events_added after insert on conveyor_jobs
when exists (select 1 from conveyor_watchers where queue in ('', new.queue))
begin
  insert into conveyor_events (at, kind, queue, job_id, name)
  values (cast((julianday('now') - 2440587.5) * 86400000000 as integer), 'added', new.queue, new.id, new.name);
end
