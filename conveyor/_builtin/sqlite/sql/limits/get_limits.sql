-- The limits of a queue.
-- parameters: 1 queue
-- index: primary key of guards
select limits
from guards
where queue = ?1
