-- Forgets that a queue had groups, unless it has limits, too.
-- parameters: 1 queue
-- index: of guards, by queue
delete from conveyor.guards
where queue = $1
  and (limits is null or limits = '{}')
