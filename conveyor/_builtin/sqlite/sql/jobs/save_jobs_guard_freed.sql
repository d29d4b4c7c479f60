-- Lets a group that is parked take its turns again when a run of it is over. Made with the first queue that has limits or groups.
-- parameters: none
-- index: primary key of conveyor_queue_groups
create trigger if not exists conveyor_live_group_freed after update of state on conveyor_live
when old.group_id is not null and old.state = 'active'
begin
  update conveyor_queue_groups
  set is_parked = 0, free_at = null
  where queue = old.queue
    and group_id = old.group_id
    and is_parked = 1;
end
