-- Runs of a job that ended, oldest first, and where their workers ran; the one that settled it stands in history.
-- parameters: 1 job id
-- index: conveyor_attempts_job, conveyor_workers_id
select number, session_id, fetch_number, started_at, ended_at, outcome, error, hostname, pid
from conveyor_attempts as attempts
left join conveyor_workers as workers on workers.id = attempts.session_id
where job_id = ?1
order by attempts.seq
