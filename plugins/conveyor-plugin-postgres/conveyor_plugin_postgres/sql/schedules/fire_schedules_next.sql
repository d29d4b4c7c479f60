-- The time, and when the next schedule is due.
-- parameters: 1 now or null
-- index: schedules_due
select
  coalesce($1::timestamptz, clock_timestamp()) as at,
  (select min(due_at) from conveyor.schedules where due_at > '-infinity') as next_run_at
