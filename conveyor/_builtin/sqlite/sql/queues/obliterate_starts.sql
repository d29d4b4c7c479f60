-- Forgets the starts of the rates of a queue.
-- parameters: 1 queue
-- index: primary key of starts
delete from starts
where queue = ?1
