-- Hands a job back at its old place.
-- parameters: 1 job id, 2 session id, 3 fetch number
-- index: unique (id) of jobs
update conveyor_live
set state = 'waiting'
where seq = (select jobs.seq from conveyor_jobs as jobs where jobs.id = ?1)
  and session_id = ?2
  and fetch_number = ?3
  and state = 'active'
returning queue
