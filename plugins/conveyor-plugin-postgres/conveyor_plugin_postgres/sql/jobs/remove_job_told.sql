-- Tells the parents of jobs that are gone; returns the hints for their queues; see the function.
-- parameters: 1 job ids, 2 now or null
-- index: flow_edges_child
select kind, of_queue
from conveyor.remove_from_flows($1, coalesce($2::timestamptz, clock_timestamp()))
