-- Cancels live jobs of every queue that had not started in time; returns how many of each queue; see the function.
-- parameters: 1 how many at most, 2 now or null
-- index: live_expiring
select queue, count
from conveyor.expire_jobs(coalesce($2::timestamptz, clock_timestamp()), $1)
