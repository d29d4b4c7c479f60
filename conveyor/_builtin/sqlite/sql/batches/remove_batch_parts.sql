-- Deletes the parts of a batch job.
-- parameters: 1 id of the batch job
-- index: primary key of conveyor_batch_parts
delete from conveyor_batch_parts
where batch_id = ?1
