-- The runs of a job that ended, oldest first; the one that settled it stands in history.
-- parameters: 1 job id
-- index: attempts_job, history_id
select number, session_id, fetch_number, started_at, ended_at, outcome, error
from (
  select seq, number, session_id, fetch_number, started_at, ended_at, outcome, error
  from conveyor.attempts
  where job_id = $1
  union all
  select 9223372036854775807, attempt, session_id, fetch_number, coalesce(started_at, finished_at), finished_at,
         outcome, error
  from conveyor.history
  where id = $1
    and attempt is not null
) as runs
order by seq
