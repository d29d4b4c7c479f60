-- Settled jobs of a queue in one state that ended before a time, oldest first.
-- parameters: 1 queue, 2 state, 3 time, 4 how many
-- index: history_finished
select id
from history
where queue = ?1
  and state = ?2
  and finished_at < ?3
order by finished_at, id
limit ?4
