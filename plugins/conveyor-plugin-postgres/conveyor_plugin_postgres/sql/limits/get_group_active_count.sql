-- How many jobs of a group run.
-- parameters: 1 queue, 2 group
-- index: live_active; it may read all jobs that run
select count(*)
from conveyor.live
where queue = $1
  and group_id = $2
  and state = 'active'
