-- Notes that a job has not ended.
-- parameters: 1 child id
-- index: conveyor_flow_edges_child
update conveyor_flow_edges
set outcome = null, result = null, error = null
where child_id = ?1
