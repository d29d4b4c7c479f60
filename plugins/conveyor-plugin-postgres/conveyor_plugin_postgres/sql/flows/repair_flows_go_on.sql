-- Lets a job that waits for its children go on as they stand; returns the hint for its queue, and its error if it failed.
-- parameters: 1 job id, 2 now or null
-- index: primary key of live
select kind, of_queue, reason
from conveyor.go_on($1, null, null, coalesce($2::timestamptz, clock_timestamp()))
