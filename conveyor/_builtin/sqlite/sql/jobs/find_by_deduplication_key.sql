-- The id of the live job that has a key.
-- parameters: 1 queue, 2 name, 3 key, 4 now
-- index: unique (queue, name, key) of deduplication_keys, unique (id) of jobs
select taken.job_id
from conveyor_deduplication_keys as taken
join conveyor_jobs as jobs on jobs.id = taken.job_id
join conveyor_live as live on live.seq = jobs.seq
where taken.queue = ?1
  and taken.name = ?2
  and taken.key = ?3
  and (taken.until is null or taken.until > ?4)
