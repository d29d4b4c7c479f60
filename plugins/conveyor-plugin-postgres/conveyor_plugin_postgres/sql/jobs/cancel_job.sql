-- Ends a live job as cancelled.
-- parameters: 1 job id, 2 error, 3 now or null
-- index: primary key of live
with gone as (
  delete from conveyor.live
  where id = $1
  returning *
)
insert into conveyor.history (
  id, seq, queue, name, state, priority, attempts_made, stalled_count, fetch_number, created_at, run_at, started_at,
  finished_at, expires_at, session_id, payload, options, added_payload, progress, error, attempt, outcome
)
select id, seq, queue, name, 'cancelled', priority, attempts_made, stalled_count, fetch_number, created_at, run_at,
       started_at, coalesce($3::timestamptz, clock_timestamp()), expires_at, session_id, payload, options,
       added_payload, progress, $2, case when state = 'active' then attempts_made + 1 end,
       case when state = 'active' then 'cancelled' end
from gone
