-- Some of a queue's jobs that wait for their children, of those up to a number; parents of parents come first.
-- parameters: 1 queue, 2 number, 3 how many
-- index: live_waiting_children
select id
from conveyor.live
where queue = $1
  and state = 'waiting_children'
  and seq <= $2
order by seq desc
limit $3
for update skip locked
