-- The run that settled a job, if one did.
-- parameters: 1 job id
-- index: unique (id) of jobs
select attempt, session_id, fetch_number, coalesce(started_at, finished_at), finished_at, outcome, error
from history
where seq = (select jobs.seq from jobs where jobs.id = ?1)
  and attempt is not null
