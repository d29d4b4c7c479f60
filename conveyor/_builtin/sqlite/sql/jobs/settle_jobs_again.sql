-- Makes a job wait, or be delayed, for its next run.
-- parameters: 1 job id, 2 session id, 3 fetch number, 4 state, 5 due at, 6 error, 7 attempts counted (0 or 1)
-- index: unique (id) of jobs
update conveyor_live
set state = ?4,
    run_at = ?5,
    order_at = case when order_seq < 0 then -1 - ?5 else ?5 end,
    attempts_made = attempts_made + ?7,
    error = ?6
where seq = (select jobs.seq from conveyor_jobs as jobs where jobs.id = ?1)
  and session_id = ?2
  and fetch_number = ?3
  and state = 'active'
