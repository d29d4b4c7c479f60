-- The sessions, the oldest first.
-- index: none
select id, hostname, pid, backend, queue_names, opened_at, expires_at
from conveyor.sessions
order by opened_at, id
