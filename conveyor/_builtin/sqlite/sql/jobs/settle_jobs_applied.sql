-- Whether this settlement was applied before.
-- parameters: 1 job id, 2 session id, 3 fetch number, 4 outcome, 5 another that it may have become
-- index: unique (id) of jobs, conveyor_attempts_job, conveyor_removed_job
select exists (
    select 1
    from conveyor_history
    where seq = (select jobs.seq from conveyor_jobs as jobs where jobs.id = ?1)
      and session_id = ?2
      and fetch_number = ?3
      and outcome in (?4, ?5)
  )
  or exists (
    select 1
    from conveyor_attempts
    where job_id = ?1
      and session_id = ?2
      and fetch_number = ?3
      and outcome in (?4, ?5)
  )
  or exists (
    select 1
    from conveyor_removed
    where job_id = ?1
      and session_id = ?2
      and fetch_number = ?3
      and outcome in (?4, ?5)
  )
