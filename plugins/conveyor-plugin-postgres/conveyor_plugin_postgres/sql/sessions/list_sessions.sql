-- The sessions, the oldest first, with how many jobs each holds.
-- index: live_active
select id, hostname, pid, backend, queue_names, opened_at, expires_at, concurrency, version, lock_duration,
       (select count(*) from conveyor.live where live.session_id = sessions.id and live.state = 'active')
from conveyor.sessions
order by opened_at, id
