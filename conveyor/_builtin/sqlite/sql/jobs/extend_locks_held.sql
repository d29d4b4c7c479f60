-- What a session holds, and since which fetch.
-- parameters: 1 session id
-- index: live_active
select jobs.id, fetch_number
from live
join jobs on jobs.seq = live.seq
where session_id = ?1
  and state = 'active'
order by live.seq
