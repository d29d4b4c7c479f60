-- Makes a queue known as one whose jobs are counted.
-- parameters: 1 queue
-- index: primary key of guards
insert into conveyor.guards as known (queue, is_counted)
values ($1, true)
on conflict (queue) do update set is_counted = true where not known.is_counted
