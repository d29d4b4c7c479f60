-- Gives groups their turns again that only waited for a time which has come.
-- parameters: 1 queue, 2 now
-- index: conveyor_queue_groups_freed
update conveyor_queue_groups
set is_parked = 0, free_at = null
where queue = ?1
  and free_at <= ?2
