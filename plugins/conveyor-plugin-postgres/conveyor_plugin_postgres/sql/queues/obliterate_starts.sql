-- Forgets the starts of the rates of a queue that has no limits any more.
-- parameters: 1 queue
-- index: of starts and guards, by queue
delete from conveyor.starts
where queue = $1
  and not exists (select from conveyor.guards where guards.queue = $1)
