-- What a fetch locked and is still active under it.
-- parameters: 1 session id, 2 fetch number
-- index: live_active
select jobs.id, jobs.queue, jobs.name, payload, options, state, priority, attempts_made, stalled_count, created_at,
       run_at, started_at, null, session_id, fetch_number, progress, null, error, jobs.expires_at,
       order_at, order_seq
from live
join jobs on jobs.seq = live.seq
where session_id = ?1
  and fetch_number = ?2
  and state = 'active'
