-- The next waiting job of a queue that stalled before, with this name (null: any) that is not paused; none while
-- the session holds such a job.
-- parameters: 1 queue, 2 name or null, 3 session id
-- index: conveyor_live_suspects, conveyor_live_active
select seq
from conveyor_live
where queue = ?1
  and state = 'waiting'
  and stalled_count > 0
  and (?2 is null or name = ?2)
  and name not in (select paused.name from conveyor_paused as paused where paused.queue = ?1)
  and not exists (
    select 1
    from conveyor_live as held
    where held.session_id = ?3
      and held.state = 'active'
      and held.stalled_count > 0
  )
order by priority, order_at, order_seq
limit 1
