-- Deletes how a job was settled.
-- parameters: 1 job id
-- index: unique (id) of jobs
delete from history
where seq = (select jobs.seq from jobs where jobs.id = ?1)
