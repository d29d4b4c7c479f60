-- Lets a job have a child less.
-- parameters: 1 parent id, 2 child id
-- index: conveyor_flow_edges_parent
delete from conveyor_flow_edges
where parent_id = ?1
  and child_id = ?2
