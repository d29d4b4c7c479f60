-- When a rate of the queues, given as JSON, next has room for a job that waits for it.
-- parameters: 1 queues as JSON, 2 now
-- index: conveyor_queue_groups_freed, conveyor_rates_free
select min(free_at)
from (
  select min(free_at) as free_at
  from conveyor_queue_groups
  where queue in (select value from json_each(?1))
    and free_at is not null
  union all
  select min(free_at)
  from conveyor_rates
  where queue in (select value from json_each(?1))
    and free_at > ?2
)
