-- Deletes a batch job.
-- parameters: 1 id
-- index: primary key of batches
delete from batches
where id = ?1
