-- Locks a waiting job of a queue with limits or groups; it is counted while it runs.
-- parameters: 1 session id, 2 fetch number, 3 now, 4 seq
-- index: primary key of live
update live
set state = 'active', session_id = ?1, fetch_number = ?2, started_at = ?3, is_limited = 1
where seq = ?4
  and state = 'waiting'
