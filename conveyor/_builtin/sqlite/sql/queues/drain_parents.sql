-- Some jobs of a queue that wait for their children, up to a last one; parents of parents come first.
-- parameters: 1 queue, 2 the last seq, 3 how many
-- index: conveyor_live_waiting_children
select jobs.id
from conveyor_live as live
join conveyor_jobs as jobs on jobs.seq = live.seq
where live.queue = ?1
  and state = 'waiting_children'
  and live.seq <= ?2
order by live.seq desc
limit ?3
