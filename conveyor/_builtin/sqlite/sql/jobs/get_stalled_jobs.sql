-- Active jobs whose session's lock ended before this time, oldest first.
-- parameters: 1 time, 2 how many
-- index: live_active
select jobs.id, jobs.queue, jobs.name, payload, options, state, priority, attempts_made, stalled_count, created_at,
       run_at, started_at, null, session_id, fetch_number, progress, null, error, jobs.expires_at
from live
join jobs on jobs.seq = live.seq
where session_id in (select sessions.id from sessions where expires_at < ?1)
  and state = 'active'
order by live.seq
limit ?2
