-- How many jobs settled since a time, by their state.
-- parameters: 1 the time
-- index: conveyor_history_finished, once for each queue and state
select states.value, count(*)
from conveyor_queues as queues
cross join json_each('["completed", "failed", "cancelled"]') as states
cross join conveyor_history as history on history.queue = queues.name and history.state = states.value
  and history.finished_at >= ?1
group by states.value
