-- Notes how much of a rate is used, and when there is room for who asked last.
-- parameters: 1 queue, 2 scope, 3 key, 4 level, 5 at, 6 free at
-- index: primary key of conveyor_rates
insert into conveyor_rates (queue, scope, key, level, at, free_at)
values (?1, ?2, ?3, ?4, ?5, ?6)
on conflict (queue, scope, key) do update set level = excluded.level, at = excluded.at, free_at = excluded.free_at
