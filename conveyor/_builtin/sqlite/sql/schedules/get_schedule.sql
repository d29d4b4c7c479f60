-- A schedule.
-- parameters: 1 id
-- index: primary key of conveyor_schedules
select id, queue, name, payload, options, rule, state
from conveyor_schedules
where id = ?1
