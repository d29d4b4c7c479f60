-- Makes a queue known as one with limits or groups.
-- parameters: 1 queue
-- index: primary key of guards
insert into conveyor.guards (queue)
values ($1)
on conflict do nothing
