-- Whether any job waits, or waited, for others.
-- parameters: none
-- index: primary key of flow_edges
select exists (select 1 from flow_edges)
