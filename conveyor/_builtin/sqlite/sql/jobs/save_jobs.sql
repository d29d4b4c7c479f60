-- Adds what a job is, unless its id is taken.
-- parameters: 1 seq, 2 id, 3 queue, 4 name, 5 payload, 6 options, 7 created_at, 8 expires_at or null
-- index: unique (id) of jobs
insert into conveyor_jobs (seq, id, queue, name, payload, options, created_at, expires_at)
values (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8)
on conflict (id) do nothing
