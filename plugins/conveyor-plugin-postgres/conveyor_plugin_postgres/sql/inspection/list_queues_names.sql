-- The queues by name.
-- index: primary key of queues
select name
from conveyor.queues
order by name
