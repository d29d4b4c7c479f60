-- Forgets the limits of a queue.
-- parameters: 1 queue
-- index: of guards, by queue
delete from conveyor.guards
where queue = $1
