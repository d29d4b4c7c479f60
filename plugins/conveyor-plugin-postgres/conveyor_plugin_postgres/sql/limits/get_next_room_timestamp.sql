-- When a rate of the queues next has room for a job that waits for it, in microseconds since 1970.
-- parameters: 1 queues, 2 now or null
-- index: queue_groups_parked, rates_free
select least(
  (select min(free_at) from conveyor.queue_groups where queue = any($1) and is_parked and free_at is not null),
  (
    select min(free_at)
    from conveyor.rates
    where queue = any($1)
      and free_at > conveyor.micros(coalesce($2::timestamptz, clock_timestamp()))
  )
)
