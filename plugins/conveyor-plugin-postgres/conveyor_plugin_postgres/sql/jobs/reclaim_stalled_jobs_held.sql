-- The jobs that sessions hold, the oldest first.
-- parameters: 1 session ids, 2 how many
-- index: live_active
select live.id, live.queue, live.name, live.payload, live.options, live.state, live.priority,
       live.attempts_made, live.stalled_count, live.created_at, live.run_at, live.started_at,
       null::timestamptz as finished_at, live.session_id, live.fetch_number, live.progress, null::bytea as result, live.error,
       live.expires_at
from conveyor.live
where live.session_id = any($1::text[])
  and live.state = 'active'
order by live.seq
limit $2
for no key update
