-- Copies a job whose run settled it into history.
-- parameters: 1 job id, 2 session id, 3 fetch number, 4 state, 5 now, 6 result, 7 error, 8 outcome, 9 attempts counted (0 or 1)
-- index: unique (id) of jobs
insert into history (id, queue, name, state, priority, payload, options, attempts_made, stalled_count, created_at,
                     run_at, started_at, finished_at, session_id, fetch_number, progress, result, error,
                     added_payload, attempt, outcome)
select id, queue, name, ?4, priority, payload, options, attempts_made + ?9, stalled_count, created_at,
       run_at, started_at, ?5, session_id, fetch_number, progress, ?6, ?7,
       added_payload, attempts_made + 1, ?8
from jobs
where id = ?1
  and session_id = ?2
  and fetch_number = ?3
  and state = 'active'
on conflict (id) do nothing
