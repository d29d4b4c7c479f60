-- Lets the jobs of a queue be counted that run already.
-- parameters: 1 queue
-- index: conveyor_live_active
update conveyor_live indexed by conveyor_live_active
set is_limited = 1
where queue = ?1
  and state = 'active'
  and is_limited = 0
