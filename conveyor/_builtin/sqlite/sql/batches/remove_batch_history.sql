-- Deletes the history of a batch job.
-- parameters: 1 id of the batch job
-- index: primary key of batch_changes
delete from batch_changes
where batch_id = ?1
