-- Resumes every name of a queue.
-- parameters: 1 queue
-- index: primary key of paused
delete from paused
where queue = ?1
