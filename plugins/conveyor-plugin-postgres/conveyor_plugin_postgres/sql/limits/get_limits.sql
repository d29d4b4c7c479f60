-- The limits of a queue.
-- parameters: 1 queue
-- index: primary key of guards
select limits::text
from conveyor.guards
where queue = $1
