-- Where those of some jobs went that went into others.
-- parameters: 1 ids as a JSON array
-- index: primary key of conveyor_buffer_merges
select job_id, into_id
from conveyor_buffer_merges
where job_id in (select value from json_each(?1))
  and into_id <> job_id
