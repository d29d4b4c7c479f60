-- The first waiting job of one priority of a group that has the option lifo.
-- parameters: 1 queue, 2 group ('': none), 3 name or null, 4 stopped names as JSON, 5 priority
-- index: conveyor_live_ready, conveyor_live_grouped
select name, seq
from (
  select *
  from conveyor_live
  where queue = ?1
    and group_id is null
    and ?2 = ''
    and state = 'waiting'
    and stalled_count = 0
    and (?3 is null or name = ?3)
    and name not in (select value from json_each(?4))
    and priority = ?5
    and order_at < 0
  order by order_at, order_seq
  limit 1
)
union all
select name, seq
from (
  select *
  from conveyor_live
  where queue = ?1
    and group_id = ?2
    and state = 'waiting'
    and stalled_count = 0
    and (?3 is null or name = ?3)
    and name not in (select value from json_each(?4))
    and priority = ?5
    and order_at < 0
  order by order_at, order_seq
  limit 1
)
