-- What is paused in a queue.
-- parameters: 1 queue
-- index: primary key of conveyor_paused
select name
from conveyor_paused
where queue = ?1
