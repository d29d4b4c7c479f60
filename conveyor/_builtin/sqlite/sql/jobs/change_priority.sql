-- Gives a live job another priority.
-- parameters: 1 job id, 2 priority
-- index: unique (id) of jobs
update live
set priority = ?2
where seq = (select jobs.seq from jobs where jobs.id = ?1)
