-- Jobs of a queue that are not active and had to start by now.
-- parameters: 1 queue, 2 now, 3 how many
-- index: conveyor_live_expiring
select jobs.id, live.expires_at
from conveyor_live as live
join conveyor_jobs as jobs on jobs.seq = live.seq
where live.queue = ?1
  and live.expires_at is not null
  and live.expires_at <= ?2
  and live.state <> 'active'
order by live.expires_at
limit ?3
