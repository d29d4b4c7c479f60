-- The parts of a batch job, by number.
-- parameters: 1 id of the batch job, 2 number of the only one wanted or null
-- index: primary key of conveyor_batch_parts
select number, span, job_id, run, steps, cursor, done, counts, is_done, error
from conveyor_batch_parts
where batch_id = ?1
  and (?2 is null or number = ?2)
order by number
