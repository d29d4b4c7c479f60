-- Forgets what was known of a job's children.
-- parameters: 1 parent id
-- index: conveyor_flow_edges_parent
delete from conveyor_flow_edges
where parent_id = ?1
