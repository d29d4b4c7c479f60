-- Active jobs whose session's lock ended before this time, oldest first.
-- parameters: 1 time, 2 how many
-- index: conveyor_live_active
select jobs.id, jobs.queue, jobs.name, payload, options, state, priority, attempts_made, stalled_count, created_at,
       run_at, started_at, null, session_id, fetch_number, progress, null, error, jobs.expires_at
from conveyor_live as live
join conveyor_jobs as jobs on jobs.seq = live.seq
where session_id in (select sessions.id from conveyor_sessions as sessions where expires_at < ?1)
  and state = 'active'
order by live.seq
limit ?2
