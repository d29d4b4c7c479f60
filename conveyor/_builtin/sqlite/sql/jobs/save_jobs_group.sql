-- How many jobs of a group wait.
-- parameters: 1 queue, 2 group
-- index: conveyor_live_grouped, conveyor_live_suspects
select
  (select count(*) from conveyor_live where queue = ?1 and state = 'waiting' and stalled_count = 0 and group_id = ?2)
  + (select count(*) from conveyor_live where queue = ?1 and state = 'waiting' and stalled_count > 0 and group_id = ?2)
