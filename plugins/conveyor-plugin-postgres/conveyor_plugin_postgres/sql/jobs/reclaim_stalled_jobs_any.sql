-- Whether the lock of any session is over.
-- parameters: 1 now or null
-- index: none: it reads all sessions
select exists (
  select
  from conveyor.sessions
  where expires_at <= coalesce($1::timestamptz, clock_timestamp())
)
