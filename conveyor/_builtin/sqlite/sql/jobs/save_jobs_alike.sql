-- Adds what jobs are that differ in nothing but id and payload, except those whose ids are taken.
-- parameters: 1 a JSON array of [seq, id, start and length of the payload], 2 queue, 3 name,
--   4 all payloads, one after another, 5 options, 6 created_at, 7 expires_at or null
-- index: unique (id) of jobs
insert into conveyor_jobs (seq, id, queue, name, payload, options, created_at, expires_at)
select json_extract(value, '$[0]'), json_extract(value, '$[1]'), ?2, ?3,
       substr(?4, json_extract(value, '$[2]'), json_extract(value, '$[3]')), ?5, ?6, ?7
from json_each(?1)
where true  -- without it, "on" would be read as that of a join
on conflict (id) do nothing
