-- What a session holds, and since which fetch.
-- parameters: 1 id
-- index: jobs_active
select id, fetch_number
from jobs
where session_id = ?1
  and state = 'active'
