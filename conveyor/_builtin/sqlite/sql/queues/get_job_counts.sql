-- How many jobs of a queue are in each state.
-- parameters: 1 queue
-- index: live_ready, live_grouped, live_suspects, live_delayed, live_waiting_children, live_active, history_finished
select
  'waiting',
  (select count(*) from live where queue = ?1 and state = 'waiting' and stalled_count = 0 and group_id is null)
  + (select count(*) from live where queue = ?1 and state = 'waiting' and stalled_count = 0 and group_id is not null)
  + (select count(*) from live where queue = ?1 and state = 'waiting' and stalled_count > 0)
union all
select 'delayed', count(*) from live where queue = ?1 and state = 'delayed'
union all
select 'waiting_children', count(*) from live where queue = ?1 and state = 'waiting_children'
union all
select 'active', count(*) from live indexed by live_active where queue = ?1 and state = 'active'
union all
select state, count(*) from history where queue = ?1 group by state
