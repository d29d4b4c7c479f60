-- A schedule.
-- parameters: 1 id
-- index: primary key of schedules
select id, queue, name, payload, options, rule, state
from conveyor.schedules
where id = $1
