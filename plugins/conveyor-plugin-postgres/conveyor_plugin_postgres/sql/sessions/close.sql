-- Forgets a session.
-- parameters: 1 id
-- index: primary key of sessions
delete from conveyor.sessions
where id = $1
