-- Jobs of a queue that wait for children of which none is open.
-- parameters: 1 queue, 2 how many
-- index: live_waiting_children, primary key of flow_parents
select jobs.id
from live
join jobs on jobs.seq = live.seq
left join flow_parents on flow_parents.job_id = jobs.id
where live.queue = ?1
  and live.state = 'waiting_children'
  and coalesce(flow_parents.open_count, 0) <= 0
limit ?2
