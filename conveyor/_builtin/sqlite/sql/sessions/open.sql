-- Makes a session known, or renews it.
-- parameters: 1 id, 2 hostname, 3 pid, 4 backend, 5 queue names as a JSON array, 6 now, 7 when its lock ends
-- index: primary key of sessions
insert into sessions (id, hostname, pid, backend, queue_names, opened_at, expires_at)
values (?1, ?2, ?3, ?4, ?5, ?6, ?7)
on conflict (id) do update
set hostname = excluded.hostname, pid = excluded.pid, backend = excluded.backend,
    queue_names = excluded.queue_names, expires_at = excluded.expires_at
