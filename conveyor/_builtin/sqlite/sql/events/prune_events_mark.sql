-- Notes which event was the last at a time.
-- parameters: 1 now
-- index: primary key of conveyor_event_marks
insert into conveyor_event_marks (at, seq)
select ?1, seq from sqlite_sequence where name = 'conveyor_events'
on conflict (at) do update set seq = excluded.seq
