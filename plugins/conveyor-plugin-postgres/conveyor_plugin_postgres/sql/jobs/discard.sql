-- Lets a live job have no further attempt.
-- parameters: 1 job id
-- index: primary key of live
update conveyor.live
set is_discarded = true
where id = $1
