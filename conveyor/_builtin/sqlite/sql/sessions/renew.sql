-- Lets a session's lock end at this time.
-- parameters: 1 id, 2 when its lock ends
-- index: primary key of conveyor_sessions
update conveyor_sessions
set expires_at = ?2
where id = ?1
