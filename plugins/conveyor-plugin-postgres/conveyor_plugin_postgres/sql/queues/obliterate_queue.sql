-- Forgets a queue.
-- parameters: 1 queue
-- index: primary key of queues
delete from conveyor.queues
where name = $1
