-- How many jobs of every queue are in each state.
-- parameters: none
-- index: history_finished; live is read as a whole
select queue, state, count(*), min(case when state = 'waiting' then run_at end)
from live
group by queue, state
union all
select queue, state, count(*), null
from history
group by queue, state
