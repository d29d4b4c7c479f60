-- The live job that has a key.
-- parameters: 1 queue, 2 name, 3 key, 4 now or null
-- index: primary key of deduplication_keys, primary key of live
select job_id
from conveyor.deduplication_keys as taken
where queue = $1
  and name = $2
  and key = $3
  and (until is null or until > coalesce($4::timestamptz, clock_timestamp()))
  and exists (select from conveyor.live where live.id = taken.job_id)
