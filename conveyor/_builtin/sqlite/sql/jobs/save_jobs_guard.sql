-- Makes a queue known as one with limits or groups.
-- parameters: 1 queue
-- index: primary key of conveyor_guards
insert into conveyor_guards (queue)
values (?1)
on conflict do nothing
