-- The runs of a job that ended, oldest first, and where their workers ran; the one that settled it stands in history.
-- parameters: 1 job id, 2 and 3 between which times it was made
-- index: attempts_job, primary key of live, history_id of few days, workers_id
select number, session_id, fetch_number, started_at, ended_at, outcome, error, worker.hostname, worker.pid
from (
  select seq, number, session_id, fetch_number, started_at, ended_at, outcome, error
  from conveyor.attempts
  where job_id = $1
  union all
  select 9223372036854775807, last.*
  from conveyor.find_jobs(array[$1], $2, $3) as job
  cross join lateral (
    select attempt, session_id, fetch_number, coalesce(started_at, finished_at), finished_at, outcome, error
    from conveyor.history
    where id = job.id
      and finished_at = job.finished_at
      and attempt is not null
    -- By itself for the one day that is known by now, not joined with all of them.
    offset 0
  ) as last
) as runs
left join lateral (
  select hostname, pid from conveyor.workers where id = runs.session_id offset 0
) as worker on true
order by seq
