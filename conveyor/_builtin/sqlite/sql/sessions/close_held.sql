-- Hands back whatever a session holds.
-- parameters: 1 id
-- index: conveyor_live_active
update conveyor_live
set state = 'waiting'
where session_id = ?1
  and state = 'active'
returning queue
