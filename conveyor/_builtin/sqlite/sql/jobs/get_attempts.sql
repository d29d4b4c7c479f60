-- Runs of a job that ended, oldest first, and where their workers ran; the one that settled it stands in history.
-- parameters: 1 job id
-- index: attempts_job, workers_id
select number, session_id, fetch_number, started_at, ended_at, outcome, error, hostname, pid
from attempts
left join workers on workers.id = attempts.session_id
where job_id = ?1
order by attempts.seq
