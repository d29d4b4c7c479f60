-- Runs of a job that ended, oldest first; the one that settled it stands in history.
-- parameters: 1 job id
-- index: attempts_job
select number, session_id, fetch_number, started_at, ended_at, outcome, error
from attempts
where job_id = ?1
order by seq
