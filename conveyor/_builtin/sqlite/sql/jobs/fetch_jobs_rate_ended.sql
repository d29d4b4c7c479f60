-- Forgets the starts that a window has left behind; returns what they weighed.
-- parameters: 1 queue, 2 scope, 3 key, 4 until when they started
-- index: primary key of conveyor_starts
delete from conveyor_starts
where queue = ?1
  and scope = ?2
  and key = ?3
  and at <= ?4
returning weight
