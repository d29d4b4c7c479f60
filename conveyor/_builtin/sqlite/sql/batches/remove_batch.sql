-- Deletes a batch job.
-- parameters: 1 id
-- index: primary key of conveyor_batches
delete from conveyor_batches
where id = ?1
