-- Live jobs of a queue in one state, in the order in which they were added.
-- parameters: 1 queue, 2 state, 3 how many, 4 how many to pass over
-- index: primary key of conveyor_live
select jobs.id, jobs.queue, jobs.name, payload, options, state, priority, attempts_made, stalled_count, created_at,
       run_at, started_at, null, session_id, fetch_number, progress, null, error, jobs.expires_at
from conveyor_live as live
join conveyor_jobs as jobs on jobs.seq = live.seq
where live.queue = ?1
  and state = ?2
order by live.seq
limit ?3 offset ?4
