-- Forgets the errors of rows that are bad no more.
-- parameters: 1 id of the batch job, 2 numbers of the rows
-- index: primary key of batch_errors
delete from conveyor.batch_errors
where batch_id = $1
  and row_number = any($2::bigint[])
