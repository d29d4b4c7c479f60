-- Deletes what a job is; to be done last.
-- parameters: 1 job id
-- index: unique (id) of jobs
delete from conveyor_jobs
where id = ?1
