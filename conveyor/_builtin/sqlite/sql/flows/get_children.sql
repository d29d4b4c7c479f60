-- What a job knows of its children, in the order in which they were added.
-- parameters: 1 parent id
-- index: conveyor_flow_edges_parent
select child_id, queue, name, outcome, result, error
from conveyor_flow_edges
where parent_id = ?1
order by seq
