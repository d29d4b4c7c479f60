-- Forgets the groups of a queue.
-- parameters: 1 queue
-- index: primary key of queue_groups
delete from queue_groups
where queue = ?1
