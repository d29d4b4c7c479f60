-- Writes down the run that had settled a job which is rerun.
-- parameters: 1 job id
-- index: unique (id) of jobs
insert into conveyor_attempts (job_id, number, session_id, fetch_number, started_at, ended_at, outcome, error)
select ?1, attempt, session_id, fetch_number, coalesce(started_at, finished_at), finished_at, outcome, error
from conveyor_history
where seq = (select jobs.seq from conveyor_jobs as jobs where jobs.id = ?1)
  and attempt is not null
