-- Forgets that a queue had groups, unless it has limits, too.
-- parameters: 1 queue
-- index: primary key of guards
delete from guards
where queue = ?1
  and (limits is null or cast(limits as text) = '{}')
