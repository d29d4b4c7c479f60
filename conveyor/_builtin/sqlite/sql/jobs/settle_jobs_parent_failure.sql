-- A child of a job that ended otherwise than completed.
-- parameters: 1 parent id
-- index: conveyor_flow_edges_parent
select child_id, outcome
from conveyor_flow_edges
where parent_id = ?1
  and outcome <> 'completed'
limit 1
