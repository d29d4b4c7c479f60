-- The next priority of a queue's waiting jobs after this one (null: the first).
-- parameters: 1 queue, 2 priority or null
-- index: conveyor_live_ready
select min(priority)
from conveyor_live
where queue = ?1
  and state = 'waiting'
  and stalled_count = 0
  and group_id is null
  and priority > coalesce(?2, -9223372036854775808)
