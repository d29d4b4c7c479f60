-- The job of this id.
-- parameters: 1 id
-- index: unique (id) of jobs
select id, queue, name, payload, options, state, priority, attempts_made, stalled_count, created_at, run_at,
       started_at, finished_at, session_id, fetch_number, progress, result, error, expires_at
from conveyor_job_records
where id = ?1
