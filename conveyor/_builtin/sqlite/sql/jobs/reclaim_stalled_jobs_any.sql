-- Whether the lock of any session is over.
-- parameters: 1 now
-- index: none: it reads all sessions
select exists (select 1 from conveyor_sessions where expires_at <= ?1)
