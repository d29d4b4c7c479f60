-- Forgets what started under a rate.
-- parameters: 1 queue, 2 scope, 3 key
-- index: primary key of starts
delete from conveyor.starts
where queue = $1
  and scope = $2
  and key = $3
