-- The active jobs of a queue.
-- parameters: 1 queue
-- index: conveyor_live_active
select jobs.id
from conveyor_live as live indexed by conveyor_live_active
join conveyor_jobs as jobs on jobs.seq = live.seq
where live.queue = ?1
  and state = 'active'
