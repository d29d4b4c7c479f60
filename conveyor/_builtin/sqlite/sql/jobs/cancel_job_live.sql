-- Deletes a live job that is in history now.
-- parameters: 1 job id
-- index: unique (id) of jobs
delete from jobs
where id = ?1
