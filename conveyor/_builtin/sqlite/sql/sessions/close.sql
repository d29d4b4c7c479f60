-- Forgets a session.
-- parameters: 1 id
-- index: primary key of conveyor_sessions
delete from conveyor_sessions
where id = ?1
