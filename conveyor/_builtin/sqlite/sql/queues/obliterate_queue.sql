-- Forgets a queue that has no limits.
-- parameters: 1 queue
-- index: primary keys of queues, guards
delete from conveyor_queues
where name = ?1
  and not exists (select 1 from conveyor_guards as guards where guards.queue = ?1)
