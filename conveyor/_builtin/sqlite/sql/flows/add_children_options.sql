-- Notes with a job in which flow it is.
-- parameters: 1 job id, 2 options
-- index: unique (id) of jobs
update conveyor_jobs
set options = ?2
where id = ?1
