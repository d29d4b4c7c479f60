-- Passes over the turns of a group until a time, or until a run of it ends.
-- parameters: 1 queue, 2 group, 3 time or null
-- index: primary key of conveyor_queue_groups
update conveyor_queue_groups
set is_parked = 1, free_at = ?3
where queue = ?1
  and group_id = ?2
