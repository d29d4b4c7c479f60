-- Makes a watcher known until a time; returns whether it was, at this time, and where events stand.
-- parameters: 1 id, 2 queue, 3 until when
-- index: primary key of conveyor_watchers
insert into conveyor_watchers (id, queue, until)
values (?1, ?2, ?3)
on conflict (id) do update set queue = excluded.queue, until = excluded.until
