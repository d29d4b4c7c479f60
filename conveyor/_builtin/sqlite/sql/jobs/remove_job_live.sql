-- Deletes a live job's state.
-- parameters: 1 job id
-- index: unique (id) of jobs
delete from live
where seq = (select jobs.seq from jobs where jobs.id = ?1)
