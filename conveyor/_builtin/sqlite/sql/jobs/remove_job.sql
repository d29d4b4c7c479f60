-- Deletes what a job is; to be done last.
-- parameters: 1 job id
-- index: unique (id) of jobs
delete from jobs
where id = ?1
