-- Notes how a child ended with those who were not told.
-- parameters: 1 child id, 2 outcome, 3 result, 4 error
-- index: conveyor_flow_edges_open
update conveyor_flow_edges
set outcome = ?2, result = ?3, error = ?4
where child_id = ?1
  and outcome is null
returning parent_id
