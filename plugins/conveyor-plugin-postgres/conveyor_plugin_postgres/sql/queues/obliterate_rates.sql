-- Forgets the rates of a queue.
-- parameters: 1 queue
-- index: of rates, by queue
delete from conveyor.rates
where queue = $1
