-- How many jobs of a queue run that are counted.
-- parameters: 1 queue
-- index: conveyor_live_limited
select count(*)
from conveyor_live
where queue = ?1
  and state = 'active'
  and is_limited = 1
