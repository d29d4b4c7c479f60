-- The first waiting jobs of a group: their names and seqs.
-- parameters: 1 queue, 2 group ('': none), 3 name or null, 4 stopped names as JSON, 5 how many
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
  order by priority, order_at, order_seq
  limit ?5
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
  order by priority, order_at, order_seq
  limit ?5
)
