-- The active jobs of a queue.
-- parameters: 1 queue
-- index: jobs_active
select id
from jobs indexed by jobs_active
where queue = ?1
  and state = 'active'
