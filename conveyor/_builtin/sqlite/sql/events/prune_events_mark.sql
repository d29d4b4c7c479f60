-- Notes which event was the last at a time.
-- parameters: 1 now
-- index: primary key of event_marks
insert into event_marks (at, seq)
select ?1, seq from sqlite_sequence where name = 'events'
on conflict (at) do update set seq = excluded.seq
