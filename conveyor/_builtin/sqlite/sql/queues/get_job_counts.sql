-- How many jobs of a queue are in each state.
-- parameters: 1 queue
-- index: conveyor_live_ready, conveyor_live_grouped, conveyor_live_suspects, conveyor_live_delayed,
--   conveyor_live_waiting_children, conveyor_live_active, conveyor_history_finished
select
  'waiting',
  (select count(*) from conveyor_live where queue = ?1 and state = 'waiting' and stalled_count = 0 and group_id is null)
  + (select count(*) from conveyor_live where queue = ?1 and state = 'waiting' and stalled_count = 0
    and group_id is not null)
  + (select count(*) from conveyor_live where queue = ?1 and state = 'waiting' and stalled_count > 0)
union all
select 'delayed', count(*) from conveyor_live where queue = ?1 and state = 'delayed'
union all
select 'waiting_children', count(*) from conveyor_live where queue = ?1 and state = 'waiting_children'
union all
select 'active', count(*) from conveyor_live indexed by conveyor_live_active where queue = ?1 and state = 'active'
union all
select state, count(*) from conveyor_history where queue = ?1 group by state
