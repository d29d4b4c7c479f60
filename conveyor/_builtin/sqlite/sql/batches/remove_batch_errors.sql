-- Deletes the bad rows of a batch job.
-- parameters: 1 id of the batch job
-- index: primary key of conveyor_batch_errors
delete from conveyor_batch_errors
where batch_id = ?1
