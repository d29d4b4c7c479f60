-- Whether a job has this child.
-- parameters: 1 parent id, 2 child id
-- index: conveyor_flow_edges_parent
select exists (select 1 from conveyor_flow_edges where parent_id = ?1 and child_id = ?2)
