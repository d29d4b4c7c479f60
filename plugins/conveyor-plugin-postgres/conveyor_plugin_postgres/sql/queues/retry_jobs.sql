-- A queue's settled jobs of one state, the oldest first.
-- parameters: 1 queue, 2 state, 3 how many
-- index: history_finished
select id
from conveyor.history
where queue = $1
  and state = $2
order by finished_at, seq
limit $3
for update skip locked
