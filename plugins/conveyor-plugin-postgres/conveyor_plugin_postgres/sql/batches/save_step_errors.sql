-- Keeps the errors of rows, in the place of those that they had before.
-- parameters: 1 id of the batch job, 2 numbers of the rows, 3 their errors
-- index: primary key of batch_errors
insert into conveyor.batch_errors (batch_id, row_number, error)
select $1, bad.row_number, bad.error
from unnest($2::bigint[], $3::bytea[]) as bad(row_number, error)
on conflict on constraint batch_errors_pkey do update
set error = excluded.error
