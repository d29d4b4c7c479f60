-- Forgets the starts of the rates of a queue that has no limits any more.
-- parameters: 1 queue
-- index: primary keys of starts, guards
delete from conveyor_starts
where queue = ?1
  and not exists (select 1 from conveyor_guards as guards where guards.queue = ?1)
