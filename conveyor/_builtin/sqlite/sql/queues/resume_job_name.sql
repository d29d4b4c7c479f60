-- Resumes a name.
-- parameters: 1 queue, 2 name
-- index: primary key of paused
delete from paused
where queue = ?1
  and name = ?2
