-- Deletes the history of a batch job.
-- parameters: 1 id of the batch job
-- index: primary key of conveyor_batch_changes
delete from conveyor_batch_changes
where batch_id = ?1
