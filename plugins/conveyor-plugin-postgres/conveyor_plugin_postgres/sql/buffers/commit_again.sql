-- Where those of some jobs went that went into others.
-- parameters: 1 ids
-- index: primary key of buffer_merges
select job_id, into_id
from conveyor.buffer_merges
where job_id = any($1::text[])
  and into_id <> job_id
