-- Takes a group out of the round of which nothing waits.
-- parameters: 1 queue, 2 group
-- index: primary key of queue_groups
delete from queue_groups
where queue = ?1
  and group_id = ?2
