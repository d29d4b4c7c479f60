-- Those of some jobs that have not ended.
-- parameters: 1 ids as a JSON array
-- index: unique (id) of jobs, primary key of conveyor_live
select jobs.id
from conveyor_jobs as jobs
where jobs.id in (select value from json_each(?1))
  and exists (select 1 from conveyor_live as live where live.seq = jobs.seq)
