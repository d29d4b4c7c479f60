-- Forgets a queue.
-- parameters: 1 queue
-- index: primary key of queues
delete from queues
where name = ?1
