-- How many jobs of a queue run that are counted.
-- parameters: 1 queue
-- index: live_limited
select count(*)
from live
where queue = ?1
  and state = 'active'
  and is_limited = 1
