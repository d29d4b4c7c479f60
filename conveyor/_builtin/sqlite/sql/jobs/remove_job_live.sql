-- Deletes a live job's state.
-- parameters: 1 job id
-- index: unique (id) of jobs
delete from conveyor_live
where seq = (select jobs.seq from conveyor_jobs as jobs where jobs.id = ?1)
