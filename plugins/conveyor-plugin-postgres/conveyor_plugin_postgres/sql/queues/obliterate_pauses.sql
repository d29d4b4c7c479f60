-- Forgets a queue's pauses.
-- parameters: 1 queue
-- index: primary key of paused
delete from conveyor.paused
where queue = $1
