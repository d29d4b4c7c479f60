-- The queues by name.
-- index: queues_name
select name
from conveyor.queue_names
order by name
