-- Jobs that wait for children of which none is open.
-- parameters: 1 how many
-- index: live_waiting_children, primary key of flow_parents
select live.id
from conveyor.live
left join conveyor.flow_parents on flow_parents.job_id = live.id
where live.state = 'waiting_children'
  and coalesce(flow_parents.open_count, 0) <= 0
limit $1
