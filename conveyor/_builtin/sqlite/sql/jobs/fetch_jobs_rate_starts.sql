-- The starts in a window, oldest first.
-- parameters: 1 queue, 2 scope, 3 key
-- index: primary key of starts
select at, weight
from starts
where queue = ?1
  and scope = ?2
  and key = ?3
order by at
