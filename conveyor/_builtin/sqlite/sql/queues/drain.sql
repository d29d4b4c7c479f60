-- Some jobs of a queue that are not active, up to a last one.
-- parameters: 1 queue, 2 the last seq, 3 how many
-- index: none: live is read from its beginning
select jobs.id
from conveyor_live as live
join conveyor_jobs as jobs on jobs.seq = live.seq
where live.queue = ?1
  and state in ('waiting', 'delayed', 'waiting_children')
  and live.seq <= ?2
limit ?3
