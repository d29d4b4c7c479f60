-- Every queue, by name.
-- parameters: none
-- index: primary key of conveyor_queues
select name
from conveyor_queues
order by name
