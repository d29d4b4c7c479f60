-- Forgets the groups of a queue.
-- parameters: 1 queue
-- index: of queue_groups, by queue
delete from conveyor.queue_groups
where queue = $1
