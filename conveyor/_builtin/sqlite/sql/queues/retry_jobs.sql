-- Settled jobs of a queue in one state, oldest first.
-- parameters: 1 queue, 2 state, 3 how many
-- index: history_finished
select id
from history
where queue = ?1
  and state = ?2
order by finished_at, id
limit ?3
