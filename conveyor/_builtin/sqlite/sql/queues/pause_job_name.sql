-- Pauses a name.
-- parameters: 1 queue, 2 name
-- index: primary key of conveyor_paused
insert into conveyor_paused (queue, name)
values (?1, ?2)
on conflict do nothing
