-- A waiting job of a queue that stalled before and whose name is not paused, if there is any.
-- parameters: 1 queue
-- index: live_suspects, primary key of paused
select seq
from live
where queue = ?1
  and state = 'waiting'
  and stalled_count > 0
  and name not in (select paused.name from paused where paused.queue = ?1)
  and not exists (select 1 from paused where paused.queue = ?1 and paused.name = '__all__')
limit 1
