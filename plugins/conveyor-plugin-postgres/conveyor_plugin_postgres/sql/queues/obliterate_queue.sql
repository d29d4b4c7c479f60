-- Forgets a queue.
-- parameters: 1 queue
-- index: queues_name
delete from conveyor.queues
where name = $1
