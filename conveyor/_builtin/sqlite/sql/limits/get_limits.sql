-- The limits of a queue.
-- parameters: 1 queue
-- index: primary key of conveyor_guards
select limits
from conveyor_guards
where queue = ?1
