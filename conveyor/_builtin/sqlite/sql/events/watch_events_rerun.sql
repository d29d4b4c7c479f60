-- Lets an event be written when a settled job is to run again: that alone gives it another place.
-- parameters: none
-- index: primary key of watchers
create trigger if not exists events_rerun after update of seq on jobs
when exists (select 1 from watchers where queue in ('', new.queue))
begin
  insert into events (at, kind, queue, job_id, name)
  values (cast((julianday('now') - 2440587.5) * 86400000000 as integer), 'rerun', new.queue, new.id, new.name);
end
