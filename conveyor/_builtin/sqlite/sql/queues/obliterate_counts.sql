-- Forgets what was counted in a queue.
-- parameters: 1 queue
-- index: none; run_counts is read as a whole
delete from conveyor_run_counts
where queue = ?1
