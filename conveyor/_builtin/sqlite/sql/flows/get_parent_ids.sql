-- Who waits, or waited, for a job, in the order in which they were added.
-- parameters: 1 child id
-- index: conveyor_flow_edges_child
select parent_id
from conveyor_flow_edges
where child_id = ?1
order by seq
