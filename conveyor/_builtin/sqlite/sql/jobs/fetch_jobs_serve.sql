-- Moves a group on that had its turn.
-- parameters: 1 queue, 2 group, 3 time
-- index: primary key of queue_groups
update queue_groups
set at = ?3
where queue = ?1
  and group_id = ?2
