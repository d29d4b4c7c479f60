-- Notes that a job has not ended.
-- parameters: 1 child id
-- index: flow_edges_child
update flow_edges
set outcome = null, result = null, error = null
where child_id = ?1
