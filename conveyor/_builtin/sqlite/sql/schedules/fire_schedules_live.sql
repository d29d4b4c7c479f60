-- Those of some jobs that have not ended.
-- parameters: 1 ids as a JSON array
-- index: unique (id) of jobs, primary key of live
select jobs.id
from jobs
where jobs.id in (select value from json_each(?1))
  and exists (select 1 from live where live.seq = jobs.seq)
