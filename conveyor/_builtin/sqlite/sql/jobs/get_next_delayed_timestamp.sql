-- When the next delayed job of a queue is due.
-- parameters: 1 queue
-- index: live_delayed
select min(run_at)
from live
where queue = ?1
  and state = 'delayed'
