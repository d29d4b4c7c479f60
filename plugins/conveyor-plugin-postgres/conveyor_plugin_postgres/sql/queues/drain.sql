-- Some of a queue's jobs that have not started, of those up to a number.
-- parameters: 1 queue, 2 number, 3 how many
-- index: live_ready
select id
from conveyor.live
where queue = $1
  and state in ('waiting', 'delayed', 'waiting_children')
  and seq <= $2
limit $3
for update skip locked
