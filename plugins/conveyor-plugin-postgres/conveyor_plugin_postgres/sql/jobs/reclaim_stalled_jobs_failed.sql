-- Fails a job whose workers died too often.
-- parameters: 1 job id, 2 now, 3 error, 4 how long it is kept or null
-- index: primary key of live
with gone as (
  delete from conveyor.live
  where id = $1
    and state = 'active'
  returning *
)
insert into conveyor.history (
  id, seq, queue, name, state, priority, attempts_made, stalled_count, fetch_number, created_at, run_at, started_at,
  finished_at, expires_at, kept_until, session_id, payload, options, added_payload, progress, error, attempt, outcome
)
select id, seq, queue, name, 'failed', priority, attempts_made, stalled_count + 1, fetch_number, created_at, run_at,
       started_at, $2::timestamptz, expires_at, conveyor.sayable($2::timestamptz + $4::interval), session_id, payload, options, added_payload, progress, $3, attempts_made + 1,
       'stalled'
from gone
