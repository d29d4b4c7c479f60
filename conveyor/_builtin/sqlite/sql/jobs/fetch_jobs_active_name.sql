-- How many jobs of a name run that are counted.
-- parameters: 1 queue, 2 name
-- index: live_limited
select count(*)
from live
where queue = ?1
  and name = ?2
  and state = 'active'
  and is_limited = 1
