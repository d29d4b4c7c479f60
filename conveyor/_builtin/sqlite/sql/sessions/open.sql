-- Makes a session known, or renews it.
-- parameters: 1 id, 2 hostname, 3 pid, 4 backend, 5 queue names as a JSON array, 6 now, 7 when its lock ends,
--   8 concurrency, 9 version, 10 for how long it renews its lock, or null
-- index: primary key of conveyor_sessions
insert into conveyor_sessions (id, hostname, pid, backend, queue_names, opened_at, expires_at, concurrency, version,
                               lock_duration)
values (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10)
on conflict (id) do update
set hostname = excluded.hostname, pid = excluded.pid, backend = excluded.backend,
    queue_names = excluded.queue_names, expires_at = excluded.expires_at, concurrency = excluded.concurrency,
    version = excluded.version, lock_duration = excluded.lock_duration
