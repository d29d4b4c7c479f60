-- Deletes the lines of a job.
-- parameters: 1 job id
-- index: conveyor_logs_job
delete from conveyor_logs
where job_id = ?1
