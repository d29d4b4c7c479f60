-- The job of this id, if it is of this queue.
-- parameters: 1 id, 2 queue
-- index: unique (id) of jobs
select id, queue, name, payload, options, state, priority, attempts_made, stalled_count, created_at, run_at,
       started_at, finished_at, session_id, fetch_number, progress, result, error, expires_at
from conveyor_job_records
where id = ?1
  and queue = ?2
