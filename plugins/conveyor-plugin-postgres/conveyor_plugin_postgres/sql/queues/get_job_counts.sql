-- How many jobs of a queue are in each state that has some.
-- parameters: 1 queue
-- index: history_finished
select state, count(*)
from conveyor.live
where queue = $1
group by state
union all
select state, count(*)
from conveyor.history
where queue = $1
group by state
