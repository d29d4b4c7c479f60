-- Writes down a run whose worker died.
-- parameters: 1 job id, 2 now
-- index: unique (id) of jobs
insert into conveyor_attempts (job_id, number, session_id, fetch_number, started_at, ended_at, outcome)
select ?1, attempts_made + 1, session_id, fetch_number, coalesce(started_at, ?2), ?2, 'stalled'
from conveyor_live
where seq = (select jobs.seq from conveyor_jobs as jobs where jobs.id = ?1)
  and state = 'active'
