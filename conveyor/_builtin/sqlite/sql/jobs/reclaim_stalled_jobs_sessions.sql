-- Forgets sessions whose lock is over and that hold nothing.
-- parameters: 1 now
-- index: live_active
delete from sessions
where expires_at <= ?1
  and not exists (select 1 from live where live.session_id = sessions.id and live.state = 'active')
