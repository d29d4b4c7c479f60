-- Settled jobs of a queue that go by now by their own option.
-- parameters: 1 queue, 2 now, 3 how many
-- index: conveyor_history_outdating
select jobs.id
from conveyor_history as history
join conveyor_jobs as jobs on jobs.seq = history.seq
where history.queue = ?1
  and history.remove_at <= ?2
order by history.remove_at
limit ?3
