-- The starts in a window, oldest first.
-- parameters: 1 queue, 2 scope, 3 key
-- index: primary key of conveyor_starts
select at, weight
from conveyor_starts
where queue = ?1
  and scope = ?2
  and key = ?3
order by at
