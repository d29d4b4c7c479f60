-- Whether a job is as the settlement of this run left it: settled, or removed.
-- parameters: 1 job id, 2 session id, 3 fetch number, 4 outcome
-- index: unique (id) of jobs, conveyor_removed_job
select exists (
    select 1
    from conveyor_history
    where seq = (select jobs.seq from conveyor_jobs as jobs where jobs.id = ?1)
      and session_id = ?2
      and fetch_number = ?3
      and outcome = ?4
  )
  or exists (
    select 1
    from conveyor_removed
    where job_id = ?1
      and session_id = ?2
      and fetch_number = ?3
      and outcome = ?4
      and not exists (select 1 from conveyor_jobs as jobs where jobs.id = ?1)
  )
