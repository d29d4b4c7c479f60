-- Makes a job wait for its children that was just added.
-- parameters: 1 job id, 2 run_at
-- index: unique (id) of jobs
update conveyor_live
set state = 'waiting_children', run_at = ?2
where seq = (select jobs.seq from conveyor_jobs as jobs where jobs.id = ?1)
