-- Hands back whatever a session holds.
-- parameters: 1 id
-- index: live_active
update live
set state = 'waiting'
where session_id = ?1
  and state = 'active'
returning queue
