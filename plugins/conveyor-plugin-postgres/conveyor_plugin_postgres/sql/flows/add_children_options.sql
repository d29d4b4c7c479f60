-- Notes with a job in which flow it is.
-- parameters: 1 job id, 2 options
-- index: primary key of live
update conveyor.live
set options = $2
where id = $1
