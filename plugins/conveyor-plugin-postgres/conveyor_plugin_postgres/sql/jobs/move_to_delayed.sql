-- Lets a live job become due at a time, but not before now. A run that goes on ends by that.
-- parameters: 1 job id, 2 due at, 3 now or null
-- index: primary key of live
with clock as (
  select coalesce($3::timestamptz, clock_timestamp()) as now_at
),
ended as (
  insert into conveyor.attempts (job_id, number, session_id, fetch_number, started_at, ended_at, outcome)
  select id, attempts_made + 1, session_id, fetch_number, coalesce(started_at, now_at), now_at, 'snoozed'
  from conveyor.live
  cross join clock
  where id = $1
    and state = 'active'
)
update conveyor.live
set state = 'delayed',
    run_at = due_at,
    order_at = case when order_seq < 0 then -1 - conveyor.micros(due_at) else conveyor.micros(due_at) end
from (select greatest($2::timestamptz, now_at) as due_at from clock) as due
where id = $1
