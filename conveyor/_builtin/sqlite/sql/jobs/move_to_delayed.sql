-- Lets a live job become due at a time.
-- parameters: 1 job id, 2 due at
-- index: unique (id) of jobs
update conveyor_live
set state = 'delayed',
    run_at = ?2,
    order_at = case when order_seq < 0 then -1 - ?2 else ?2 end
where seq = (select jobs.seq from conveyor_jobs as jobs where jobs.id = ?1)
