-- A queue's settled jobs.
-- parameters: 1 queue
-- index: history_finished
select id
from conveyor.history
where queue = $1
