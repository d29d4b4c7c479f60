-- The run that settled a job, if one did.
-- parameters: 1 job id
-- index: primary key of history
select attempt, session_id, fetch_number, started_at, finished_at, outcome, error
from history
where id = ?1
  and attempt is not null
