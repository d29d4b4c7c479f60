-- Appends a line of a run that holds its lock.
-- parameters: 1 job id, 2 session id, 3 fetch number, 4 message, 5 now
-- index: unique (id) of jobs
insert into conveyor_logs (job_id, message, at, attempt, session_id, fetch_number)
select ?1, ?4, ?5, attempts_made + 1, ?2, ?3
from conveyor_live
where seq = (select jobs.seq from conveyor_jobs as jobs where jobs.id = ?1)
  and session_id = ?2
  and fetch_number = ?3
  and state = 'active'
