-- How many jobs of every queue are in each state.
-- parameters: none
-- index: none: it reads everything
select queue, state, count(*), min(iif(state = 'waiting', run_at, null))
from jobs
group by queue, state
union all
select queue, state, count(*), null
from history
group by queue, state
