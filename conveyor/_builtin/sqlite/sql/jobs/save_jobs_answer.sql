-- What an add was answered that left no job.
-- parameters: 1 id, 2 digest, 3 now
-- index: primary key of deduplicated_adds
select job_id, outcome
from deduplicated_adds
where add_id = ?1
  and digest = ?2
  and forget_at > ?3
