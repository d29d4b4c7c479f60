-- Settled jobs of a queue in one state that ended before a time, oldest first.
-- parameters: 1 queue, 2 state, 3 time, 4 how many
-- index: conveyor_history_finished
select jobs.id
from conveyor_history as history
join conveyor_jobs as jobs on jobs.seq = history.seq
where history.queue = ?1
  and state = ?2
  and finished_at < ?3
order by finished_at, history.seq
limit ?4
