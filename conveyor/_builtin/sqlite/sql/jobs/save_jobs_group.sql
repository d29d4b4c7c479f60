-- How many jobs of a group wait.
-- parameters: 1 queue, 2 group
-- index: live_grouped, live_suspects
select
  (select count(*) from live where queue = ?1 and state = 'waiting' and stalled_count = 0 and group_id = ?2)
  + (select count(*) from live where queue = ?1 and state = 'waiting' and stalled_count > 0 and group_id = ?2)
