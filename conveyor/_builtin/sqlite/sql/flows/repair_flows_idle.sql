-- Jobs of a queue that wait for children of which none is open.
-- parameters: 1 queue, 2 how many
-- index: conveyor_live_waiting_children, primary key of conveyor_flow_parents
select jobs.id
from conveyor_live as live
join conveyor_jobs as jobs on jobs.seq = live.seq
left join conveyor_flow_parents as flow_parents on flow_parents.job_id = jobs.id
where live.queue = ?1
  and live.state = 'waiting_children'
  and coalesce(flow_parents.open_count, 0) <= 0
limit ?2
