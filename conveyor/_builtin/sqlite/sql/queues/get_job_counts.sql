-- How many jobs of a queue are in each state.
-- parameters: 1 queue
-- index: jobs_ready, jobs_delayed, jobs_waiting_children, jobs_active, history_finished
select 'waiting', count(*) from jobs where queue = ?1 and state = 'waiting'
union all
select 'delayed', count(*) from jobs where queue = ?1 and state = 'delayed'
union all
select 'waiting_children', count(*) from jobs where queue = ?1 and state = 'waiting_children'
union all
select 'active', count(*) from jobs indexed by jobs_active where queue = ?1 and state = 'active'
union all
select state, count(*) from history where queue = ?1 group by state
