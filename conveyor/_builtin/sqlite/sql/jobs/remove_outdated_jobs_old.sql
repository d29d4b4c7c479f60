-- Settled jobs of a queue that ended by a time, whatever their state, oldest end first.
-- parameters: 1 queue, 2 time, 3 how many
-- index: conveyor_history_finished, once for each state
select jobs.id
from (
  select seq, finished_at from conveyor_history where queue = ?1 and state = 'cancelled' and finished_at <= ?2
  union all
  select seq, finished_at from conveyor_history where queue = ?1 and state = 'completed' and finished_at <= ?2
  union all
  select seq, finished_at from conveyor_history where queue = ?1 and state = 'failed' and finished_at <= ?2
  order by finished_at, seq
  limit ?3
) as old
join conveyor_jobs as jobs on jobs.seq = old.seq
