-- Lets a group take its turns when a job of it waits again. Made with the first queue that has limits or groups.
-- parameters: none
-- index: primary key of queue_groups
create trigger if not exists live_group_waits after update of state on live
when new.group_id is not null and new.state = 'waiting'
begin
  insert into queue_groups (queue, group_id, at)
  select new.queue, new.group_id, guards.round_at
  from guards
  where guards.queue = new.queue
  on conflict do nothing;
end
