-- Moves groups on that had their turns.
-- parameters: 1 queue, 2 a JSON object of times by groups
-- index: primary key of conveyor_queue_groups
insert into conveyor_queue_groups (queue, group_id, at)
select ?1, key, value
from json_each(?2)
where true  -- without it, "on" would be read as that of a join
on conflict (queue, group_id) do update set at = excluded.at
