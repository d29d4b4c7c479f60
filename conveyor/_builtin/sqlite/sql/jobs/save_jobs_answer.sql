-- What an add was answered that left no job.
-- parameters: 1 id, 2 digest, 3 now
-- index: conveyor_deduplicated_adds_id
select job_id, outcome
from conveyor_deduplicated_adds
where add_id = ?1
  and digest = ?2
  and forget_at > ?3
