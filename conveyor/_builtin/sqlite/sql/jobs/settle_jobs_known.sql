-- Whether a job of this id exists.
-- parameters: 1 job id
-- index: unique (id) of jobs, primary key of history
select exists (select 1 from jobs where id = ?1)
  or exists (select 1 from history where id = ?1)
