-- Gives keys of one queue and name to jobs, whoever took them before.
-- parameters: 1 a JSON object of job ids by keys, 2 queue, 3 name, 4 until when (or null)
-- index: unique (queue, name, key) of deduplication_keys
insert into conveyor_deduplication_keys (queue, name, key, job_id, until)
select ?2, ?3, key, value, ?4
from json_each(?1)
where true  -- without it, "on" would be read as that of a join
on conflict (queue, name, key) do update set job_id = excluded.job_id, until = excluded.until
