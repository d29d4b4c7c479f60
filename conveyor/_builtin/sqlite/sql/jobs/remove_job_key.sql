-- Forgets the key that a job took for as long as it exists.
-- parameters: 1 job id
-- index: conveyor_deduplication_keys_job
delete from conveyor_deduplication_keys
where job_id = ?1
  and until is null
