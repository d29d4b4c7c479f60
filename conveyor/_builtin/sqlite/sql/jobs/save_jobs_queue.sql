-- Makes a queue known.
-- parameters: 1 queue
-- index: primary key of conveyor_queues
insert into conveyor_queues (name)
values (?1)
on conflict do nothing
