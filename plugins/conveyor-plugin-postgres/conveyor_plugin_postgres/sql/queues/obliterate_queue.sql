-- Forgets a queue that has no limits.
-- parameters: 1 queue
-- index: queues_name; of guards, by queue
delete from conveyor.queues
where name = $1
  and not exists (select from conveyor.guards where guards.queue = $1)
