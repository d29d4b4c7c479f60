-- How jobs ended that left no record; the newest first.
-- parameters: 1 ids, as a JSON array
-- index: conveyor_removed_job
select job_id, state, finished_at, result, error
from conveyor_removed
where job_id in (select value from json_each(?1))
order by seq desc
