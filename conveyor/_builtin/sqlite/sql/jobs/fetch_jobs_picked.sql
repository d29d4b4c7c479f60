-- Locks a waiting job that was picked.
-- parameters: 1 session id, 2 fetch number, 3 now, 4 seq
-- index: primary key of conveyor_live
update conveyor_live
set state = 'active', session_id = ?1, fetch_number = ?2, started_at = ?3
where seq = ?4
  and state = 'waiting'
