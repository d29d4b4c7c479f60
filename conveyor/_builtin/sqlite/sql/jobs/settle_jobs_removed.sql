-- Remembers for a while a run whose settlement removes its job.
-- parameters: 1 job id, 2 session id, 3 fetch number, 4 outcome, 5 state, 6 now, 7 result, 8 error
-- index: unique (id) of jobs
insert into conveyor_removed (job_id, session_id, fetch_number, outcome, state, finished_at, result, error)
select ?1, session_id, fetch_number, ?4, ?5, ?6, ?7, ?8
from conveyor_live
where seq = (select jobs.seq from conveyor_jobs as jobs where jobs.id = ?1)
  and session_id = ?2
  and fetch_number = ?3
  and state = 'active'
