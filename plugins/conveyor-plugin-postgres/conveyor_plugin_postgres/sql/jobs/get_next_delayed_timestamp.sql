-- When the next delayed job of these queues is due; see the function.
-- parameters: 1 queues
-- index: live_delayed
select conveyor.next_delayed($1)
