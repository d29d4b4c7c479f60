-- Gives a key that nobody holds to a new job.
-- parameters: 1 queue, 2 name, 3 key, 4 job id, 5 until when, or null
-- index: unique (queue, name, key) of deduplication_keys
update deduplication_keys
set job_id = ?4, until = ?5
where queue = ?1
  and name = ?2
  and key = ?3
