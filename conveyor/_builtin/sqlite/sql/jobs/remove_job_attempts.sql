-- Deletes the runs of a job.
-- parameters: 1 job id
-- index: conveyor_attempts_job
delete from conveyor_attempts
where job_id = ?1
