-- Forgets a session.
-- parameters: 1 id
-- index: primary key of sessions
delete from sessions
where id = ?1
