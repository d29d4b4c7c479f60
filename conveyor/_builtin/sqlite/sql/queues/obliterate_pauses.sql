-- Resumes every name of a queue.
-- parameters: 1 queue
-- index: primary key of conveyor_paused
delete from conveyor_paused
where queue = ?1
