-- Lets a group take its turns when a job of it waits again. Made with the first queue that has limits or groups.
-- parameters: none
-- index: primary key of conveyor_queue_groups
create trigger if not exists conveyor_live_group_waits after update of state on conveyor_live
when new.group_id is not null and new.state = 'waiting'
begin
  insert into conveyor_queue_groups (queue, group_id, at)
  select new.queue, new.group_id, guards.round_at
  from conveyor_guards as guards
  where guards.queue = new.queue
  on conflict do nothing;
end
