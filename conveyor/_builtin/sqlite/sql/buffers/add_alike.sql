-- Puts jobs into a buffer that differ in nothing but id and payload, except those whose ids are there.
-- parameters: 1 a JSON array of [seq, id, start and length of the payload], 2 buffer, 3 queue, 4 name,
--   5 all payloads, one after another, 6 options or null, 7 run_at or null, 8 expires_at or null,
--   9 deduplication or null, 10 now
-- index: unique (id) of buffered
insert into buffered (seq, id, buffer, queue, name, payload, options, run_at, expires_at, deduplication, size, added_at)
select json_extract(value, '$[0]'), json_extract(value, '$[1]'), ?2, ?3, ?4,
       substr(?5, json_extract(value, '$[2]'), json_extract(value, '$[3]')), ?6, ?7, ?8, ?9,
       json_extract(value, '$[3]'), ?10
from json_each(?1)
where true  -- without it, "on" would be read as that of a join
on conflict (id) do nothing
