-- Makes a job that no run has begun due at another time.
-- parameters: 1 job id, 2 state, 3 due at
-- index: unique (id) of jobs
update conveyor_live
set state = ?2,
    order_at = case when order_seq < 0 then -1 - ?3 else ?3 end,
    run_at = ?3
where seq = (select jobs.seq from conveyor_jobs as jobs where jobs.id = ?1)
