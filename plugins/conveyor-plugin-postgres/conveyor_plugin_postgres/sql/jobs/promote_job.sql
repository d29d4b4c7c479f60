-- Makes a delayed job wait, available now.
-- parameters: 1 job id, 2 now or null
-- index: primary key of live
update conveyor.live
set state = 'waiting',
    run_at = now_at,
    order_at = case when order_seq < 0 then -1 - conveyor.micros(now_at) else conveyor.micros(now_at) end
from (select coalesce($2::timestamptz, clock_timestamp()) as now_at) as clock
where id = $1
  and state = 'delayed'
