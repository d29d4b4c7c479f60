-- Whether a job of this id exists.
-- parameters: 1 job id
-- index: unique (id) of jobs
select exists (select 1 from conveyor_jobs where id = ?1)
