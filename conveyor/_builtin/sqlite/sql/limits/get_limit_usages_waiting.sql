-- How many jobs of a queue wait, of this name (null: any).
-- parameters: 1 queue, 2 name or null
-- index: none: it reads all jobs that live
select count(*)
from conveyor_live
where queue = ?1
  and state = 'waiting'
  and (?2 is null or name = ?2)
