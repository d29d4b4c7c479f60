-- Active jobs whose lock has been over for longer than a threshold.
-- parameters: 1 threshold, 2 how many, 3 now or null
-- index: live_active
select live.id, live.queue, live.name, live.payload, live.options, live.state, live.priority,
       live.attempts_made, live.stalled_count, live.created_at, live.run_at, live.started_at,
       null::timestamptz as finished_at, live.session_id, live.fetch_number, live.progress, null::bytea as result, live.error,
       live.expires_at
from conveyor.sessions
cross join lateral (
  select live.*
  from conveyor.live
  where live.session_id = sessions.id
    and live.state = 'active'
  offset 0 -- each session by itself
) as live
where sessions.expires_at < coalesce($3::timestamptz, clock_timestamp()) - $1::interval
order by live.seq
limit $2
