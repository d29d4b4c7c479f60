-- Forgets the rates of a queue.
-- parameters: 1 queue
-- index: primary key of rates
delete from rates
where queue = ?1
