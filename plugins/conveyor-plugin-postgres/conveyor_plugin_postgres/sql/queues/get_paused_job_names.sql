-- What is paused in a queue.
-- parameters: 1 queue
-- index: primary key of paused
select name
from conveyor.paused
where queue = $1
