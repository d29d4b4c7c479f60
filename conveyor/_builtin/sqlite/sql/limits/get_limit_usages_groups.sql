-- The groups of a queue of which jobs wait or run.
-- parameters: 1 queue
-- index: none: it reads all jobs that live
select distinct group_id
from conveyor_live
where queue = ?1
  and group_id is not null
  and state in ('waiting', 'active')
order by group_id
