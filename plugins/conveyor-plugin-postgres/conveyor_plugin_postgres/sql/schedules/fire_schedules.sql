-- Schedules that are due, the soonest of them, as they are until the transaction ends.
-- parameters: 1 now, 2 how many
-- index: schedules_due, primary key of schedules
select id, queue, name, payload, options, rule, state
from conveyor.schedules
where id = any(array(select id from conveyor.schedules where due_at <= $1 order by due_at, id limit $2))
  -- Again, for who waited here for another that fired it.
  and due_at <= $1
order by id
for no key update
