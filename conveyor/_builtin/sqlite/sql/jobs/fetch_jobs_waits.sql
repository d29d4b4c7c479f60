-- Whether a job of a group waits, those that stalled before aside.
-- parameters: 1 queue, 2 group ('': none)
-- index: live_ready, live_grouped
select
  exists (
    select 1
    from live
    where queue = ?1
      and state = 'waiting'
      and stalled_count = 0
      and group_id is null
      and ?2 = ''
  )
  or exists (
    select 1
    from live
    where queue = ?1
      and state = 'waiting'
      and stalled_count = 0
      and group_id = ?2
  )
