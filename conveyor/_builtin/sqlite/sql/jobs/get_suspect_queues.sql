-- A waiting job of a queue that stalled before and whose name is not paused, if there is any.
-- parameters: 1 queue
-- index: conveyor_live_suspects, primary key of conveyor_paused
select seq
from conveyor_live
where queue = ?1
  and state = 'waiting'
  and stalled_count > 0
  and name not in (select paused.name from conveyor_paused as paused where paused.queue = ?1)
  and not exists (select 1 from conveyor_paused as paused where paused.queue = ?1 and paused.name = '__all__')
limit 1
