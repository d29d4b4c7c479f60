-- How many jobs of a group run that are counted.
-- parameters: 1 queue, 2 group
-- index: conveyor_live_limited
select count(*)
from conveyor_live
where queue = ?1
  and group_id = ?2
  and state = 'active'
  and is_limited = 1
