-- Undoes a pause.
-- parameters: 1 queue, 2 name
-- index: primary key of paused
delete from conveyor.paused
where queue = $1
  and name = $2
