-- Makes a job that waited for its children wait, or be delayed, until a time.
-- parameters: 1 job id, 2 state, 3 due at
-- index: unique (id) of jobs
update conveyor_live
set state = ?2, run_at = ?3, order_at = case when order_seq < 0 then -1 - ?3 else ?3 end
where seq = (select jobs.seq from conveyor_jobs as jobs where jobs.id = ?1)
