-- Deletes how a job was settled.
-- parameters: 1 job id
-- index: unique (id) of jobs
delete from conveyor_history
where seq = (select jobs.seq from conveyor_jobs as jobs where jobs.id = ?1)
