-- The next waiting jobs of a queue with this name (null: any) that is not paused.
-- parameters: 1 queue, 2 name or null, 3 how many
-- index: conveyor_live_ready
select seq
from conveyor_live
where queue = ?1
  and state = 'waiting'
  and stalled_count = 0
  and group_id is null
  and (?2 is null or name = ?2)
  and name not in (select paused.name from conveyor_paused as paused where paused.queue = ?1)
order by priority, order_at, order_seq
limit ?3
