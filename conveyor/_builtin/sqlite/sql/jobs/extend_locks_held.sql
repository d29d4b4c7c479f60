-- What a session holds, and since which fetch.
-- parameters: 1 session id
-- index: conveyor_live_active
select jobs.id, fetch_number
from conveyor_live as live
join conveyor_jobs as jobs on jobs.seq = live.seq
where session_id = ?1
  and state = 'active'
order by live.seq
