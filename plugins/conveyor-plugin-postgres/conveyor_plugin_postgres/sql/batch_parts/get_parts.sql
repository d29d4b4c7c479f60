-- The parts of a batch job, by number.
-- parameters: 1 id of the batch job, 2 numbers from, 3 to
-- index: primary key of batch_parts
select number, span, job_id, run, steps, cursor, done, counts, is_done, error
from conveyor.batch_parts
where batch_id = $1
  and number between $2 and $3
order by number
