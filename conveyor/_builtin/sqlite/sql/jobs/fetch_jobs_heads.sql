-- The first waiting jobs of each of several groups: the group, their names and seqs, and what their order follows from.
-- parameters: 1 queue, 2 groups as a JSON array, 3 name or null, 4 stopped names as JSON, 5 how many of each
-- index: conveyor_live_grouped
select asked.value, live.name, live.seq, live.priority, live.order_at, live.order_seq
from json_each(?2) as asked
cross join conveyor_live as live on live.seq in (
  select seq
  from conveyor_live as waiting
  where waiting.queue = ?1
    and waiting.group_id = asked.value
    and waiting.state = 'waiting'
    and waiting.stalled_count = 0
    and (?3 is null or waiting.name = ?3)
    and waiting.name not in (select value from json_each(?4))
  order by waiting.priority, waiting.order_at, waiting.order_seq
  limit ?5
)
