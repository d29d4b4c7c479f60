-- Copies a live job into history as cancelled.
-- parameters: 1 job id, 2 now, 3 error
-- index: unique (id) of jobs
insert into history (id, queue, name, state, priority, payload, options, attempts_made, stalled_count, created_at,
                     run_at, started_at, finished_at, session_id, fetch_number, progress, error,
                     added_payload, attempt, outcome)
select id, queue, name, 'cancelled', priority, payload, options, attempts_made, stalled_count, created_at,
       run_at, started_at, ?2, session_id, fetch_number, progress, ?3,
       added_payload, iif(state = 'active', attempts_made + 1, null), iif(state = 'active', 'cancelled', null)
from jobs
where id = ?1
