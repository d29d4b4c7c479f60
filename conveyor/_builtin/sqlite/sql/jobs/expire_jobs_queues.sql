-- Every queue.
-- parameters: none
-- index: primary key of conveyor_queues
select name
from conveyor_queues
