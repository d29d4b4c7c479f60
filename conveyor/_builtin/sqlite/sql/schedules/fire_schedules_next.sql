-- When the next schedule is due.
-- parameters: none
-- index: schedules_due
select min(due_at)
from schedules
where due_at is not null
