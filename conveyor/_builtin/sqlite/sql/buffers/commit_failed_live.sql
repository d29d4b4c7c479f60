-- Deletes the live state of jobs that have failed.
-- parameters: 1 ids as a JSON array
-- index: unique (id) of jobs
delete from conveyor_live
where seq in (select jobs.seq from conveyor_jobs as jobs where jobs.id in (select value from json_each(?1)))
  and state in ('waiting', 'delayed')
