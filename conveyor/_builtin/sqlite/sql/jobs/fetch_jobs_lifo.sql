-- The waiting jobs of one priority without the option lifo, newest first.
-- parameters: 1 queue, 2 priority, 3 name or null, 4 how many
-- index: conveyor_live_ready, backwards
select seq
from conveyor_live
where queue = ?1
  and state = 'waiting'
  and stalled_count = 0
  and group_id is null
  and priority = ?2
  and order_at >= 0
  and (?3 is null or name = ?3)
  and name not in (select paused.name from conveyor_paused as paused where paused.queue = ?1)
order by order_at desc, order_seq desc
limit ?4
