-- How many jobs each queue has in each state, and when the oldest of them became due.
-- index: none
select queue, state, count(*), min(run_at) filter (where state = 'waiting')
from conveyor.live
group by queue, state
union all
select queue, state, count(*), null
from conveyor.history
group by queue, state
