-- Settled jobs of a queue that ended by a time, whatever their state, oldest end first.
-- parameters: 1 queue, 2 time, 3 how many
-- index: history_finished, once for each state
select jobs.id
from (
  select seq, finished_at from history where queue = ?1 and state = 'cancelled' and finished_at <= ?2
  union all
  select seq, finished_at from history where queue = ?1 and state = 'completed' and finished_at <= ?2
  union all
  select seq, finished_at from history where queue = ?1 and state = 'failed' and finished_at <= ?2
  order by finished_at, seq
  limit ?3
) as old
join jobs on jobs.seq = old.seq
