-- How many jobs of a name run that are counted.
-- parameters: 1 queue, 2 name
-- index: conveyor_live_limited
select count(*)
from conveyor_live
where queue = ?1
  and name = ?2
  and state = 'active'
  and is_limited = 1
