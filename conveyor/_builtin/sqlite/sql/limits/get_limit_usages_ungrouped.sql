-- How many jobs without a group wait in a queue.
-- parameters: 1 queue
-- index: none: it reads all jobs that live
select count(*)
from conveyor_live
where queue = ?1
  and state = 'waiting'
  and group_id is null
