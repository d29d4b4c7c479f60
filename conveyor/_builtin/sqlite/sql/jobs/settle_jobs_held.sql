-- Which of these jobs a run holds.
-- parameters: 1 job ids as a JSON array, 2 session id, 3 fetch number
-- index: unique (id) of jobs
select jobs.id
from json_each(?1) as ended
cross join conveyor_jobs as jobs on jobs.id = ended.value
cross join conveyor_live as live on live.seq = jobs.seq
where session_id = ?2
  and fetch_number = ?3
  and live.state = 'active'
