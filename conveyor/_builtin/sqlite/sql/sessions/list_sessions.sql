-- Every session, in the order in which they were opened, with how many jobs it holds.
-- parameters: none
-- index: conveyor_live_active; it reads the whole table of sessions
select id, hostname, pid, backend, opened_at, expires_at, queue_names, concurrency, version, lock_duration,
       (select count(*) from conveyor_live as live where live.session_id = sessions.id and live.state = 'active')
from conveyor_sessions as sessions
order by opened_at, id
