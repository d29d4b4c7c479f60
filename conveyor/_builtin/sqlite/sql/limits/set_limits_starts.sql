-- Forgets what started under a rate.
-- parameters: 1 queue, 2 scope, 3 key
-- index: primary key of conveyor_starts
delete from conveyor_starts
where queue = ?1
  and scope = ?2
  and key = ?3
