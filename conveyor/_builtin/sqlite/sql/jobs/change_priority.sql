-- Gives a live job another priority.
-- parameters: 1 job id, 2 priority
-- index: unique (id) of jobs
update conveyor_live
set priority = ?2
where seq = (select jobs.seq from conveyor_jobs as jobs where jobs.id = ?1)
