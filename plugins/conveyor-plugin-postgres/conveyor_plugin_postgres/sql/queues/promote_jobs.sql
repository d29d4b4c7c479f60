-- Makes a queue's delayed jobs wait, available now, soonest first.
-- parameters: 1 queue, 2 how many, 3 now or null
-- index: live_delayed
update conveyor.live
set state = 'waiting',
    run_at = now_at,
    order_at = case when order_seq < 0 then -1 - conveyor.micros(now_at) else conveyor.micros(now_at) end
from (select coalesce($3::timestamptz, clock_timestamp()) as now_at) as clock
where id = any(array(
  select delayed.id
  from conveyor.live as delayed
  where delayed.queue = $1
    and delayed.state = 'delayed'
  order by delayed.run_at, delayed.priority, delayed.seq
  limit $2
  for no key update skip locked
))
