-- Writes down a run that ended and did not settle its job.
-- parameters: 1 job id, 2 session id, 3 fetch number, 4 now, 5 outcome, 6 error
-- index: unique (id) of jobs
insert into conveyor_attempts (job_id, number, session_id, fetch_number, started_at, ended_at, outcome, error)
select ?1, attempts_made + 1, session_id, fetch_number, coalesce(started_at, ?4), ?4, ?5, ?6
from conveyor_live
where seq = (select jobs.seq from conveyor_jobs as jobs where jobs.id = ?1)
  and session_id = ?2
  and fetch_number = ?3
  and state = 'active'
