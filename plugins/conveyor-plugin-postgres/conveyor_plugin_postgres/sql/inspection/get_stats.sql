-- How many jobs settled in the time up to now, by their state.
-- parameters: 1 the time, 2 now or null
-- index: history_finished, once for each queue and state
select ended.state, count(*)
from conveyor.queue_names
cross join unnest(array['completed', 'failed', 'cancelled']) as ended(state)
join conveyor.history on history.queue = queue_names.name
  and history.state = ended.state
  and history.finished_at >= coalesce($2::timestamptz, clock_timestamp()) - $1::interval
group by ended.state
