-- How many jobs of every queue are in each state.
-- parameters: none
-- index: conveyor_history_finished; live is read as a whole
select queue, state, count(*), min(case when state = 'waiting' then run_at end)
from conveyor_live
group by queue, state
union all
select queue, state, count(*), null
from conveyor_history
group by queue, state
