-- Makes a job wait at its old place, with one stall more, whose run took down what it ran in.
-- parameters: 1 job id, 2 session id, 3 fetch number, 4 error
-- index: unique (id) of jobs
update conveyor_live
set state = 'waiting', stalled_count = stalled_count + 1, error = ?4
where seq = (select jobs.seq from conveyor_jobs as jobs where jobs.id = ?1)
  and session_id = ?2
  and fetch_number = ?3
  and state = 'active'
