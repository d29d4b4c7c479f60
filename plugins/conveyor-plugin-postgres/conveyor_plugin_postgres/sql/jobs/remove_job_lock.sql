-- Keeps all flows, if there are any, from being told of anything until the transaction ends; see the function.
-- parameters: none
-- index: none
select conveyor.lock_all_flows()
