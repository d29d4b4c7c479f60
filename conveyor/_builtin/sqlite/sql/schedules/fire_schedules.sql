-- Schedules that are due, soonest first.
-- parameters: 1 now, 2 how many
-- index: conveyor_schedules_due
select id, queue, name, payload, options, rule, state
from conveyor_schedules
where due_at <= ?1
order by due_at, id
limit ?2
