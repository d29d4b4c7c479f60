-- Schedules after an id, by id.
-- parameters: 1 id, 2 how many
-- index: primary key of conveyor_schedules
select id, queue, name, payload, options, rule, state
from conveyor_schedules
where id > ?1
order by id
limit ?2
