-- Forgets the job of this id that was removed lately: another one takes the id.
-- parameters: 1 id
-- index: removed_job
delete from removed
where job_id = ?1
