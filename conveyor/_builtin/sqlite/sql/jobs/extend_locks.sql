-- Lets a session's lock end no sooner than this.
-- parameters: 1 session id, 2 the least time its lock ends
-- index: primary key of conveyor_sessions
update conveyor_sessions
set expires_at = max(expires_at, ?2)
where id = ?1
