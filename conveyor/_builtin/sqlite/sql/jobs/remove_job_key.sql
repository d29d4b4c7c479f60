-- Forgets the key that a job took for as long as it exists.
-- parameters: 1 job id
-- index: deduplication_keys_job
delete from deduplication_keys
where job_id = ?1
  and until is null
