-- Tells the parents of a job that was ended; returns the hints for their queues; see the function.
-- parameters: 1 job id, 2 outcome, 3 error, 4 now or null
-- index: flow_edges_child
select kind, of_queue
from conveyor.tell_parents(
  array[$1::text], array[$2::text], null, array[$3::bytea], coalesce($4::timestamptz, clock_timestamp())
)
