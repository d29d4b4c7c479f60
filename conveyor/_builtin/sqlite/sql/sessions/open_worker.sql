-- Notes where a worker runs, for histories.
-- parameters: 1 session id, 2 hostname, 3 pid
-- index: conveyor_workers_id
insert or ignore into conveyor_workers (id, hostname, pid)
values (?1, ?2, ?3)
