-- Remembers for a while what adds were answered that left no job.
-- parameters: 1 JSON rows of id, id of the job that was there, outcome, 2 the digests of the adds, 16 bytes each, one
--   after another, 3 until when
-- index: primary key of deduplicated_adds
insert into deduplicated_adds (add_id, digest, job_id, outcome, forget_at)
select
  json_extract(value, '$[0]'), substr(?2, 16 * key + 1, 16), json_extract(value, '$[1]'), json_extract(value, '$[2]'), ?3
from json_each(?1)
where true  -- without it, "on" would be read as that of a join
-- One that was remembered too long ago may still be there.
on conflict (add_id, digest) do update
set job_id = excluded.job_id, outcome = excluded.outcome, forget_at = excluded.forget_at
