-- Keeps the parts of a batch job.
-- parameters: 1 id of the batch job, 2 numbers, 3 spans, 4 ids of their jobs
-- index: primary key of batch_parts
insert into conveyor.batch_parts (batch_id, number, span, job_id)
select $1, part.number, part.span, part.job_id
from unnest($2::bigint[], $3::bytea[], $4::text[]) as part(number, span, job_id)
