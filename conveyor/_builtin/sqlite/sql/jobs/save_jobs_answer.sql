-- What an add was answered that left no job.
-- parameters: 1 digest, 2 now
-- index: primary key of deduplicated_adds
select job_id, outcome
from deduplicated_adds
where digest = ?1
  and forget_at > ?2
