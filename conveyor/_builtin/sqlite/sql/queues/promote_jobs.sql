-- Makes delayed jobs of a queue wait, available now, soonest first.
-- parameters: 1 queue, 2 now, 3 how many
-- index: conveyor_live_delayed
update conveyor_live
set state = 'waiting', run_at = ?2, order_at = case when order_seq < 0 then -1 - ?2 else ?2 end
where seq in (
  select seq
  from conveyor_live
  where queue = ?1
    and state = 'delayed'
  order by run_at, priority, seq
  limit ?3
)
