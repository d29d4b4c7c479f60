-- How many jobs of a group run, counted or not.
-- parameters: 1 queue, 2 group
-- index: conveyor_live_active, of which it reads all
select count(*)
from conveyor_live indexed by conveyor_live_active
where queue = ?1
  and group_id = ?2
  and state = 'active'
