-- Writes down the run that had settled a job which is rerun.
-- parameters: 1 job id
-- index: primary key of history
insert into attempts (job_id, number, session_id, fetch_number, started_at, ended_at, outcome, error)
select id, attempt, session_id, fetch_number, coalesce(started_at, finished_at), finished_at, outcome, error
from history
where id = ?1
  and attempt is not null
