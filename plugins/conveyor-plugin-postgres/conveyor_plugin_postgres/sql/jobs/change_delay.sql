-- Lets a live job become due so long from now.
-- parameters: 1 job id, 2 delay, 3 now or null
-- index: primary key of live
update conveyor.live
set state = 'delayed',
    run_at = due_at,
    order_at = case when order_seq < 0 then -1 - conveyor.micros(due_at) else conveyor.micros(due_at) end
from (select conveyor.sayable(coalesce($3::timestamptz, clock_timestamp()) + $2::interval) as due_at) as clock
where id = $1
