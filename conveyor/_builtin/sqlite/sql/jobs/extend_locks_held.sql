-- What a session holds.
-- parameters: 1 session id
-- index: jobs_active
select id, fetch_number
from jobs
where session_id = ?1
  and state = 'active'
