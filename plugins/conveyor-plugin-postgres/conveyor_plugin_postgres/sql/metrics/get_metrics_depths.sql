-- How many jobs that are not settled are in each state, and since when the oldest waits; a row without state for each queue.
-- parameters: 1 queues, or null for all
-- index: none; live is read as a whole
select queue, state, count(*), min(run_at) filter (where state = 'waiting')
from conveyor.live
where $1::text[] is null
  or queue = any($1::text[])
group by queue, state
union all
select name, null, 0, null
from conveyor.queue_names
where $1::text[] is null
  or name = any($1::text[])
