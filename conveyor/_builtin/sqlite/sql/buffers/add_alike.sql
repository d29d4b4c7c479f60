-- Puts jobs into a buffer that differ in nothing but id and payload, except those whose ids are there, or are those of
-- jobs or of jobs that went on from a buffer.
-- parameters: 1 a JSON object of ids, each with three numbers in one: in 16 bits the length of the payload, in the 24
--   above them its start, and above those what is to be added to 2 the seq of the first, 3 buffer, 4 queue, 5 name,
--   6 all payloads, one after another, 7 options or null, 8 run_at or null, 9 expires_at or null,
--   10 deduplication or null, 11 now
-- index: unique (id) of buffered, unique (id) of jobs, primary key of conveyor_buffer_merges
insert into conveyor_buffered (seq, id, buffer, queue, name, payload, options, run_at, expires_at, deduplication,
                               size, added_at)
select ?2 + (value >> 40), key, ?3, ?4, ?5, substr(?6, (value >> 16) & 0xffffff, value & 0xffff), ?7, ?8, ?9, ?10,
       value & 0xffff, ?11
from json_each(?1)
where not exists (select 1 from conveyor_jobs where id = key)
  and not exists (select 1 from conveyor_buffer_merges where job_id = key)
on conflict (id) do nothing
