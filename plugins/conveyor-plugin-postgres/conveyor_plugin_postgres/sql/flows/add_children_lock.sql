-- Keeps flows from being told of anything else until the transaction ends; see the function.
-- parameters: 1 the flows' ids
-- index: none
select conveyor.lock_flows($1)
