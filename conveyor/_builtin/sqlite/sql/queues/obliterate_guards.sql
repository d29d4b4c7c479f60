-- Forgets that a queue had groups, unless it has limits, too.
-- parameters: 1 queue
-- index: primary key of conveyor_guards
delete from conveyor_guards
where queue = ?1
  and (limits is null or cast(limits as text) = '{}')
