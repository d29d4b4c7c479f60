-- When the next delayed job of a queue is due.
-- parameters: 1 queue
-- index: conveyor_live_delayed
select min(run_at)
from conveyor_live
where queue = ?1
  and state = 'delayed'
