-- Gives every group of a queue its turns again.
-- parameters: 1 queue
-- index: primary key of conveyor_queue_groups
update conveyor_queue_groups
set is_parked = 0, free_at = null
where queue = ?1
