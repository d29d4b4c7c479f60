-- Makes a delayed job wait, available now.
-- parameters: 1 job id, 2 now
-- index: unique (id) of jobs
update conveyor_live
set state = 'waiting', run_at = ?2, order_at = case when order_seq < 0 then -1 - ?2 else ?2 end
where seq = (select jobs.seq from conveyor_jobs as jobs where jobs.id = ?1)
  and state = 'delayed'
