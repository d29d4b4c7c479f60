-- Ends jobs as failed that a flush added just now; one that was there before and ran is left alone. Returns their ids,
-- and when they ended.
-- parameters: 1 ids, 2 error, 3 now or null, 4 how long to keep them, or null
-- index: primary key of live
with gone as (
  delete from conveyor.live
  where id = any(array(
    select id
    from conveyor.live
    where id = any($1::text[])
      and state in ('waiting', 'delayed')
    order by id
    for update
  ))
  returning *
)
insert into conveyor.history (
  id, seq, queue, name, state, priority, attempts_made, stalled_count, fetch_number, created_at, run_at, started_at,
  finished_at, expires_at, kept_until, session_id, payload, options, added_payload, progress, error
)
select id, seq, queue, name, 'failed', priority, attempts_made, stalled_count, fetch_number, created_at, run_at,
       started_at, now_at, expires_at, conveyor.sayable(now_at + $4::interval), session_id, payload, options,
       added_payload, progress, $2
from gone
cross join (select coalesce($3::timestamptz, clock_timestamp()) as now_at) as clock
returning id, finished_at
