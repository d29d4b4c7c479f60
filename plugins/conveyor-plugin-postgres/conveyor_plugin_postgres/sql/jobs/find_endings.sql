-- How jobs ended that left no record; the newest of each last.
-- parameters: 1 job ids
-- index: removed_job
select job_id, state, finished_at, result, error
from conveyor.removed
where job_id = any($1::text[])
order by seq
