-- Makes a session known, or renews it; notes where a new one runs, for histories, and forgets the first beyond 10 000.
-- parameters: 1 id, 2 hostname, 3 pid, 4 backend, 5 queues, 6 lock duration, 7 now or null, 8 concurrency, 9 version,
--   10 for how long it renews its lock, or null
-- index: primary key of sessions, workers_id, primary key of workers
with opened as (
  insert into conveyor.workers (id, hostname, pid)
  values ($1, $2, $3)
  on conflict (id) do nothing
  returning seq
),
forgotten as (
  delete from conveyor.workers
  using opened
  where workers.seq <= opened.seq - 10000
)
insert into conveyor.sessions (
  id, hostname, pid, backend, queue_names, opened_at, expires_at, concurrency, version, lock_duration
)
select $1, $2, $3, $4, $5, now_at, now_at + $6::interval, $8, $9, $10
from (select coalesce($7::timestamptz, clock_timestamp()) as now_at) as clock
on conflict (id) do update
set hostname = excluded.hostname, pid = excluded.pid, backend = excluded.backend,
    queue_names = excluded.queue_names, expires_at = excluded.expires_at, concurrency = excluded.concurrency,
    version = excluded.version, lock_duration = excluded.lock_duration
