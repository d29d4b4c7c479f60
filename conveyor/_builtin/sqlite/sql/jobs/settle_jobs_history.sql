-- Writes down how a run settled its job.
-- parameters: 1 job id, 2 session id, 3 fetch number, 4 state, 5 now, 6 result, 7 error, 8 outcome,
--   9 attempts counted (0 or 1)
-- index: unique (id) of jobs
insert into history (seq, queue, state, priority, attempts_made, stalled_count, run_at, started_at, finished_at,
                     session_id, fetch_number, progress, result, error, attempt, outcome)
select seq, queue, ?4, priority, attempts_made + ?9, stalled_count, run_at, started_at, ?5,
       session_id, fetch_number, progress, ?6, ?7, attempts_made + 1, ?8
from live
where seq = (select jobs.seq from jobs where jobs.id = ?1)
  and session_id = ?2
  and fetch_number = ?3
  and state = 'active'
on conflict (seq) do nothing
