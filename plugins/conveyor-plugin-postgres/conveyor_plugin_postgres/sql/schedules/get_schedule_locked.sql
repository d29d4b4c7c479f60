-- Schedules as they are until the transaction ends: whoever else would change them waits.
-- parameters: 1 ids
-- index: primary key of schedules
select id, queue, name, payload, options, rule, state
from conveyor.schedules
where id = any($1::text[])
order by id
for no key update
