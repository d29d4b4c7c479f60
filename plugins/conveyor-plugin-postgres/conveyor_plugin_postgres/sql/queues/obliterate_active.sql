-- A queue's jobs that run.
-- parameters: 1 queue
-- index: none
select id
from conveyor.live
where queue = $1
  and state = 'active'
