-- Forgets what was known of a job's children.
-- parameters: 1 parent id
-- index: flow_edges_parent
delete from flow_edges
where parent_id = ?1
