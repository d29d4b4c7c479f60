-- Forgets what was known of the children of jobs that are gone; see the function.
-- parameters: 1 job ids
-- index: primary keys of flow_edges and flow_parents
select conveyor.forget_parents($1)
