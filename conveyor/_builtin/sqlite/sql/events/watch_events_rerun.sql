-- Lets an event be written when a settled job is to run again: that alone gives it another place.
-- parameters: none
-- index: primary key of conveyor_watchers
create trigger if not exists conveyor_events_rerun after update of seq on conveyor_jobs
when exists (select 1 from conveyor_watchers where queue in ('', new.queue))
begin
  insert into conveyor_events (at, kind, queue, job_id, name)
  values (cast((julianday('now') - 2440587.5) * 86400000000 as integer), 'rerun', new.queue, new.id, new.name);
end
