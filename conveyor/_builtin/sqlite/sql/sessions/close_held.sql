-- Hands back whatever a session holds.
-- parameters: 1 id
-- index: jobs_active
update jobs
set state = 'waiting'
where session_id = ?1
  and state = 'active'
returning queue
