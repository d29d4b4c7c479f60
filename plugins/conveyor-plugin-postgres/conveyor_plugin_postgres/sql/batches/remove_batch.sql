-- Deletes batch jobs and their bad rows.
-- parameters: 1 ids
-- index: primary key of batches and batch_errors
with errors as (
  delete from conveyor.batch_errors
  where batch_id = any($1::text[])
)
delete from conveyor.batches
where id = any($1::text[])
