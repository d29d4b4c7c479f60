-- Tells the parents of jobs that ended; returns the hints for their queues; see the function.
-- parameters: 1 job ids, 2 outcomes, 3 results, 4 errors, 5 now or null
-- index: flow_edges_child
select kind, of_queue
from conveyor.tell_parents($1, $2, $3, $4, coalesce($5::timestamptz, clock_timestamp()))
