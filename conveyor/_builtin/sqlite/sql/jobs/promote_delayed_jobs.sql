-- Makes jobs of a queue wait whose time has come; their place is that of their time.
-- parameters: 1 queue, 2 now, 3 how many
-- index: conveyor_live_delayed
update conveyor_live
set state = 'waiting'
where seq in (
  select seq
  from conveyor_live
  where queue = ?1
    and state = 'delayed'
    and run_at <= ?2
  order by run_at, priority, seq
  limit ?3
)
