-- What a job knows of its children, in the order in which they were added.
-- parameters: 1 parent id
-- index: primary key of flow_edges
select child_id, queue, name, outcome, result, error
from conveyor.flow_edges
where parent_id = $1
order by seq
