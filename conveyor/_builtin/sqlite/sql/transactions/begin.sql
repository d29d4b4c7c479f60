-- Whether a run owns its job: one row is counted, or none.
-- parameters: 1 job id, 2 session id, 3 fetch number
-- index: unique (id) of jobs
select count(*)
from conveyor_live
where seq = (select jobs.seq from conveyor_jobs as jobs where jobs.id = ?1)
  and session_id = ?2
  and fetch_number = ?3
  and state = 'active'
