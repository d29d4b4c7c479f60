-- Gives keys of one queue and name to jobs, whoever took them before.
-- parameters: 1 JSON rows of key, job id, until when (or null), 2 queue, 3 name
-- index: unique (queue, name, key) of deduplication_keys
insert into deduplication_keys (queue, name, key, job_id, until)
select ?2, ?3, json_extract(value, '$[0]'), json_extract(value, '$[1]'), json_extract(value, '$[2]')
from json_each(?1)
where true  -- without it, "on" would be read as that of a join
on conflict (queue, name, key) do update set job_id = excluded.job_id, until = excluded.until
