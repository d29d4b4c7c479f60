-- Lets a job wait for another.
-- parameters: 1 parent id, 2 child id, 3 the child's queue, 4 its name
-- index: conveyor_flow_edges_parent
insert into conveyor_flow_edges (parent_id, child_id, queue, name)
values (?1, ?2, ?3, ?4)
