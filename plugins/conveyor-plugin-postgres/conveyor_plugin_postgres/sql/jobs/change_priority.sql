-- Gives a live job another priority.
-- parameters: 1 job id, 2 priority
-- index: primary key of live
update conveyor.live
set priority = $2
where id = $1
