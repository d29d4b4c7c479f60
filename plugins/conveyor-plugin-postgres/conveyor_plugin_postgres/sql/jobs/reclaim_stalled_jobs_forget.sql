-- Forgets sessions that hold nothing.
-- parameters: 1 session ids
-- index: primary key of sessions, live_active
delete from conveyor.sessions
where id = any($1::text[])
  and not exists (
    select from conveyor.live where live.session_id = sessions.id and live.state = 'active'
  )
