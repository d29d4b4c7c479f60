-- Deletes the lines of a job.
-- parameters: 1 job id
-- index: logs_job
delete from logs
where job_id = ?1
