-- Takes away the oldest attempts of a job that has more than it may keep.
-- parameters: 1 job id, 2 how many to keep
-- index: conveyor_attempts_job
delete from conveyor_attempts
where job_id = ?1
  and seq <= (select seq from conveyor_attempts where job_id = ?1 order by seq desc limit 1 offset ?2)
