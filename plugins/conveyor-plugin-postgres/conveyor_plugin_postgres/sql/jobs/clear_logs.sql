-- Deletes a job's lines.
-- parameters: 1 job id
-- index: logs_job
delete from conveyor.logs
where job_id = $1
