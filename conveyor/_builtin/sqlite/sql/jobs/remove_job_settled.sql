-- Deletes a settled job.
-- parameters: 1 job id
-- index: primary key of history
delete from history
where id = ?1
