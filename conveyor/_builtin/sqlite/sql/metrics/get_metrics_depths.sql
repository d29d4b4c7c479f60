-- How many jobs that are not settled are in each state, and since when the oldest waits; a row without state for each queue.
-- parameters: 1 queues as a JSON array, or null for all
-- index: none; live is read as a whole
select queue, state, count(*), min(case when state = 'waiting' then run_at end)
from conveyor_live
where ?1 is null
  or queue in (select value from json_each(?1))
group by queue, state
union all
select name, null, 0, null
from conveyor_queues
where ?1 is null
  or name in (select value from json_each(?1))
