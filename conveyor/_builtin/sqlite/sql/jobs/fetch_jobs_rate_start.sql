-- Remembers a start in a window.
-- parameters: 1 queue, 2 scope, 3 key, 4 when, 5 weight
-- index: primary key of conveyor_starts
insert into conveyor_starts (queue, scope, key, at, weight)
values (?1, ?2, ?3, ?4, ?5)
on conflict (queue, scope, key, at) do update set weight = weight + excluded.weight
