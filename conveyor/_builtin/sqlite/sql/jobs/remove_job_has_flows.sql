-- Whether anything is known of parents: of one whose failed children are forgotten there are no edges left.
-- parameters: none
-- index: primary keys of flow_edges, flow_parents
select exists (select 1 from conveyor_flow_edges) or exists (select 1 from conveyor_flow_parents)
