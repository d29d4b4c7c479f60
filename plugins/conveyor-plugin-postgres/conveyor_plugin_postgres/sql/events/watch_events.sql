-- Makes a watcher known until a time; returns whether it was known, and its time was not over.
-- parameters: 1 id, 2 queue, 3 for how long, 4 now or null
-- index: primary key of watchers
with clock as (
  select coalesce($4::timestamptz, clock_timestamp()) as now_at
),
known as (
  select exists (
    select from conveyor.watchers cross join clock where watchers.id = $1 and watchers.until > clock.now_at
  ) as is_known
)
insert into conveyor.watchers (id, queue, until)
select $1, $2, conveyor.sayable(clock.now_at + $3::interval) from clock
on conflict (id) do update set queue = excluded.queue, until = excluded.until
returning (select is_known from known)
