-- Ends a live job as cancelled, or as failed by hand.
-- parameters: 1 job id, 2 error, 3 now or null, 4 cancelled or failed, 5 how long to keep it, or null
-- index: primary key of live
with gone as (
  delete from conveyor.live
  where id = $1
  returning *
)
insert into conveyor.history (
  id, seq, queue, name, state, priority, attempts_made, stalled_count, fetch_number, created_at, run_at, started_at,
  finished_at, expires_at, kept_until, session_id, payload, options, added_payload, progress, error, attempt, outcome
)
select id, seq, queue, name, $4, priority, attempts_made, stalled_count, fetch_number, created_at, run_at,
       started_at, now_at, expires_at, conveyor.sayable(now_at + $5::interval), session_id, payload, options,
       added_payload, progress, $2, case when state = 'active' then attempts_made + 1 end,
       case when state = 'active' then $4 end
from gone
cross join (select coalesce($3::timestamptz, clock_timestamp()) as now_at) as clock
