-- Deletes batch jobs, their parts and their bad rows.
-- parameters: 1 ids
-- index: primary key of batches, batch_parts and batch_errors
with parts as (
  delete from conveyor.batch_parts
  where batch_id = any($1::text[])
),
errors as (
  delete from conveyor.batch_errors
  where batch_id = any($1::text[])
)
delete from conveyor.batches
where id = any($1::text[])
