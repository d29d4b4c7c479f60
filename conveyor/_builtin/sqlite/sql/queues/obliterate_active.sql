-- The active jobs of a queue.
-- parameters: 1 queue
-- index: live_active
select jobs.id
from live indexed by live_active
join jobs on jobs.seq = live.seq
where live.queue = ?1
  and state = 'active'
