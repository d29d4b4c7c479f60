-- Lets the jobs without a group join the round, where any waits.
-- parameters: 1 queue
-- index: conveyor_live_ready, primary key of conveyor_guards
insert into conveyor_queue_groups (queue, group_id, at)
select queue, '', round_at
from conveyor_guards
where queue = ?1
  and exists (
    select 1
    from conveyor_live as live
    where live.queue = ?1
      and live.state = 'waiting'
      and live.stalled_count = 0
      and live.group_id is null
  )
on conflict do nothing
