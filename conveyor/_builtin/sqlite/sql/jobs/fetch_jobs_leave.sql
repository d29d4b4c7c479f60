-- Takes groups out of the round of which nothing waits, those that stalled before aside; returns where they stood.
-- parameters: 1 queue, 2 groups as a JSON array ('': none)
-- index: primary key of conveyor_queue_groups, conveyor_live_ready, conveyor_live_grouped
delete from conveyor_queue_groups as queue_groups
where queue = ?1
  and group_id in (select value from json_each(?2))
  and not exists (
    select 1
    from conveyor_live as live
    where live.queue = ?1
      and live.state = 'waiting'
      and live.stalled_count = 0
      and live.group_id = queue_groups.group_id
  )
  and not (
    group_id = ''
    and exists (
      select 1
      from conveyor_live as live
      where live.queue = ?1
        and live.state = 'waiting'
        and live.stalled_count = 0
        and live.group_id is null
    )
  )
returning at
