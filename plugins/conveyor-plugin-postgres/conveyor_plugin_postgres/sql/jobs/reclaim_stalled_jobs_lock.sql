-- Keeps all flows from being told of anything until the transaction ends, if a session's lock is over; see the function.
-- parameters: 1 now
-- index: none
select conveyor.lock_flows_of_stalled($1)
