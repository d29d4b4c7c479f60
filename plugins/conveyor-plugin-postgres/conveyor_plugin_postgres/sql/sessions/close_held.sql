-- Lets the jobs wait again that a session holds.
-- parameters: 1 session id
-- index: live_active
update conveyor.live
set state = 'waiting'
where session_id = $1
  and state = 'active'
returning queue
