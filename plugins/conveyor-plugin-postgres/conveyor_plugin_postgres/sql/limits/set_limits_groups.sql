-- Gives every group of a queue its turns again.
-- parameters: 1 queue
-- index: queue_groups_parked
update conveyor.queue_groups
set is_parked = false, free_at = null
where queue = $1
  and is_parked
