-- When the next delayed job of a queue is due.
-- parameters: 1 queue
-- index: jobs_delayed
select min(run_at)
from jobs
where queue = ?1
  and state = 'delayed'
