-- When the next delayed job of these queues is due.
-- parameters: 1 queues
-- index: live_delayed
select min(soonest.run_at)
from unnest($1::text[]) as asked(queue)
cross join lateral (
  select live.run_at
  from conveyor.live
  where live.queue = asked.queue
    and live.state = 'delayed'
  order by live.run_at
  limit 1
) as soonest
