-- Deletes the runs of a job.
-- parameters: 1 job id
-- index: attempts_job
delete from attempts
where job_id = ?1
