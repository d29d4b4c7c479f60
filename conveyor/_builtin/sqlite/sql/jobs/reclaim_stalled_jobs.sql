-- Hands a stalled job back at its old place, with one stall more.
-- parameters: 1 job id
-- index: unique (id) of jobs
update conveyor_live
set state = 'waiting', stalled_count = stalled_count + 1
where seq = (select jobs.seq from conveyor_jobs as jobs where jobs.id = ?1)
  and state = 'active'
