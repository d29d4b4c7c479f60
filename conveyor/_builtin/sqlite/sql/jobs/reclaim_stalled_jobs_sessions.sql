-- Forgets sessions whose lock is over and that hold nothing.
-- parameters: 1 now
-- index: conveyor_live_active
delete from conveyor_sessions as sessions
where expires_at <= ?1
  and not exists (select 1 from conveyor_live as live where live.session_id = sessions.id and live.state = 'active')
