-- Forgets the limits of a queue.
-- parameters: 1 queue
-- index: primary key of guards
delete from guards
where queue = ?1
