-- How many jobs of a group run, counted or not.
-- parameters: 1 queue, 2 group
-- index: live_active, of which it reads all
select count(*)
from live indexed by live_active
where queue = ?1
  and group_id = ?2
  and state = 'active'
