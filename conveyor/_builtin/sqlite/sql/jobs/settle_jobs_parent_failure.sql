-- A child of a job that ended otherwise than completed.
-- parameters: 1 parent id
-- index: flow_edges_parent
select child_id, outcome
from flow_edges
where parent_id = ?1
  and outcome <> 'completed'
limit 1
