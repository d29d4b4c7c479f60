-- How many jobs of a queue are in a state, by name and group ('': none).
-- parameters: 1 queue, 2 state
-- index: none: it may read all jobs that live
select name, coalesce(group_id, ''), count(*)
from conveyor.live
where queue = $1
  and state = $2
group by 1, 2
