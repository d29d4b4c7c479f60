-- Locks the next waiting jobs of a queue, whatever their names; those that stalled before are passed over.
-- parameters: 1 session id, 2 fetch number, 3 now, 4 queue, 5 how many
-- index: conveyor_live_ready
update conveyor_live
set state = 'active', session_id = ?1, fetch_number = ?2, started_at = ?3
where seq in (
  select seq
  from conveyor_live
  where queue = ?4
    and state = 'waiting'
    and stalled_count = 0
    and group_id is null
  order by priority, order_at, order_seq
  limit ?5
)
