-- Every queue.
-- parameters: none
-- index: primary key of queues
select name
from queues
