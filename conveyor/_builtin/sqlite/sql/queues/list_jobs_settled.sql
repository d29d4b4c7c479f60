-- Settled jobs of a queue in one state, newest first.
-- parameters: 1 queue, 2 state, 3 how many, 4 how many to pass over
-- index: conveyor_history_finished, backwards
select jobs.id, jobs.queue, jobs.name, payload, options, state, priority, attempts_made, stalled_count, created_at,
       run_at, started_at, finished_at, session_id, fetch_number, progress, result, error, jobs.expires_at
from conveyor_history as history
join conveyor_jobs as jobs on jobs.seq = history.seq
where history.queue = ?1
  and state = ?2
order by finished_at desc, history.seq desc
limit ?3 offset ?4
