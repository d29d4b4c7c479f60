-- A job that waits for its children, and how these stand.
-- parameters: 1 job id
-- index: unique (id) of jobs, primary key of conveyor_flow_parents
select live.queue, live.run_at, policy, coalesce(open_count, 0), coalesce(failed_count, 0), delay, is_removed, kept_for,
       jobs.name
from conveyor_jobs as jobs
join conveyor_live as live on live.seq = jobs.seq
left join conveyor_flow_parents as flow_parents on flow_parents.job_id = jobs.id
where jobs.id = ?1
  and live.state = 'waiting_children'
