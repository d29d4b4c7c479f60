-- A queue's settled jobs of one state that ended before a time, the oldest first, and when each ended.
-- parameters: 1 queue, 2 state, 3 grace, 4 how many, 5 now or null
-- index: history_finished
select id, finished_at
from conveyor.history
where queue = $1
  and state = $2
  and finished_at < coalesce($5::timestamptz, clock_timestamp()) - $3::interval
order by finished_at, seq
limit $4
for update skip locked
