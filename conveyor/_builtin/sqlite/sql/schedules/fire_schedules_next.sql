-- When the next schedule is due.
-- parameters: none
-- index: conveyor_schedules_due
select min(due_at)
from conveyor_schedules
where due_at is not null
