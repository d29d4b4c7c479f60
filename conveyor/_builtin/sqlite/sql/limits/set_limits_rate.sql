-- Forgets how much of a rate was used.
-- parameters: 1 queue, 2 scope, 3 key
-- index: primary key of conveyor_rates
delete from conveyor_rates
where queue = ?1
  and scope = ?2
  and key = ?3
