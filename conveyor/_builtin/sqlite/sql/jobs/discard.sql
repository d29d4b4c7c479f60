-- Lets a live job have no further attempt.
-- parameters: 1 job id
-- index: unique (id) of jobs
update conveyor_live
set is_discarded = 1
where seq = (select jobs.seq from conveyor_jobs as jobs where jobs.id = ?1)
