-- Forgets sessions whose lock is over and that hold nothing.
-- parameters: 1 now
-- index: jobs_active
delete from sessions
where expires_at <= ?1
  and not exists (select 1 from jobs where jobs.session_id = sessions.id and jobs.state = 'active')
