-- Forgets the groups of a queue.
-- parameters: 1 queue
-- index: primary key of conveyor_queue_groups
delete from conveyor_queue_groups
where queue = ?1
