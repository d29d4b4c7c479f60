-- The run that settled a job, if one did, and where its worker ran.
-- parameters: 1 job id
-- index: unique (id) of jobs, conveyor_workers_id
select attempt, session_id, fetch_number, coalesce(started_at, finished_at), finished_at, outcome, error, hostname, pid
from conveyor_history as history
left join conveyor_workers as workers on workers.id = history.session_id
where history.seq = (select jobs.seq from conveyor_jobs as jobs where jobs.id = ?1)
  and attempt is not null
