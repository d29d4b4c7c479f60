-- Resumes a name.
-- parameters: 1 queue, 2 name
-- index: primary key of conveyor_paused
delete from conveyor_paused
where queue = ?1
  and name = ?2
