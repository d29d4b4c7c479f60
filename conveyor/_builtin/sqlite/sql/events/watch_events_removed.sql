-- Lets an event be written when the record of a job goes.
-- parameters: none
-- index: primary key of watchers
create trigger if not exists events_removed after delete on jobs
when exists (select 1 from watchers where queue in ('', old.queue))
begin
  insert into events (at, kind, queue, job_id, name)
  values (cast((julianday('now') - 2440587.5) * 86400000000 as integer), 'removed', old.queue, old.id, old.name);
end
