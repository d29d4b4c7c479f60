-- Remembers for a while what adds were answered alike that left no job. One that was remembered too long ago may still be
-- there beside.
-- parameters: 1 a JSON object of the ids of the adds, each with the digest of the add as 32 hexadecimal digits and the id
--   of the job that was there, one after the other, 2 outcome, 3 until when
-- index: conveyor_deduplicated_adds_id
insert into conveyor_deduplicated_adds (add_id, digest, job_id, outcome, forget_at)
select key, substr(value, 1, 32), substr(value, 33), ?2, ?3
from json_each(?1)
