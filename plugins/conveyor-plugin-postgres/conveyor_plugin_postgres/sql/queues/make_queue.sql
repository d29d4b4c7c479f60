-- Makes a queue known.
-- parameters: 1 queue
-- index: primary key of queues
insert into conveyor.queues (name)
values ($1)
on conflict do nothing
