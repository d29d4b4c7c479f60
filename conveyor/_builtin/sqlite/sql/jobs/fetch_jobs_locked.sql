-- What a fetch locked and is still active under it: what all of them share is known to whoever asks.
-- parameters: 1 session id, 2 fetch number
-- index: conveyor_live_active
select jobs.id, jobs.queue, jobs.name, payload, options, priority, attempts_made, stalled_count, created_at, run_at,
       started_at, progress, error, jobs.expires_at, order_at, order_seq
from conveyor_live as live
join conveyor_jobs as jobs on jobs.seq = live.seq
where session_id = ?1
  and fetch_number = ?2
  and state = 'active'
