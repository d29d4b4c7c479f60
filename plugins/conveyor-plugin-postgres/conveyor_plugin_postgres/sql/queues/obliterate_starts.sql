-- Forgets the starts of the rates of a queue.
-- parameters: 1 queue
-- index: of starts, by queue
delete from conveyor.starts
where queue = $1
