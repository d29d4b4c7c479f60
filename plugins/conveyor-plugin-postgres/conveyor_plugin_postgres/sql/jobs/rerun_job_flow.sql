-- Notes in its flows that a settled job runs again; returns whether it waits, or waits for its children; see the function.
-- parameters: 1 job id
-- index: flow_edges_child, primary key of flow_parents
select conveyor.reopen_in_flows($1)
