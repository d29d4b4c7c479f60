-- Keeps the error of a row, in the place of one that it had before.
-- parameters: 1 id of the batch job, 2 number of the row, 3 error as JSON
-- index: primary key of conveyor_batch_errors
insert into conveyor_batch_errors (batch_id, row_number, error)
values (?1, ?2, ?3)
on conflict (batch_id, row_number) do update
set error = excluded.error
