-- Forgets the bad rows of a batch job.
-- parameters: 1 id
-- index: primary key of batch_errors
delete from conveyor.batch_errors
where batch_id = $1
