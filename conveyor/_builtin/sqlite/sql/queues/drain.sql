-- Some jobs of a queue that are not active, up to a last one.
-- parameters: 1 queue, 2 the last seq, 3 how many
-- index: jobs_ready, jobs_delayed, jobs_waiting_children
select id
from jobs
where queue = ?1
  and state in ('waiting', 'delayed', 'waiting_children')
  and seq <= ?2
limit ?3
