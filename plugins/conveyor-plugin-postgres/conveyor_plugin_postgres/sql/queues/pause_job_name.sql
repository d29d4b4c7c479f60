-- Pauses the jobs of a name.
-- parameters: 1 queue, 2 name
-- index: primary key of paused
insert into conveyor.paused (queue, name)
values ($1, $2)
on conflict do nothing
