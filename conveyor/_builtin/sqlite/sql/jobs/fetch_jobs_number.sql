-- Notes a fetch of a session and extends its lock.
-- parameters: 1 session id, 2 highest fetch, 3 recent fetches, 4 the least time its lock ends
-- index: primary key of conveyor_sessions
update conveyor_sessions
set highest_fetch = ?2, recent_fetches = ?3, expires_at = max(expires_at, ?4)
where id = ?1
