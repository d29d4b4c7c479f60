-- Lines of a job, oldest first.
-- parameters: 1 job id, 2 how many, 3 how many to pass over
-- index: conveyor_logs_job
select job_id, message, at, attempt, session_id, fetch_number
from conveyor_logs
where job_id = ?1
order by seq
limit ?2 offset ?3
