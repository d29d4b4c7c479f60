-- Every queue, by name.
-- parameters: none
-- index: primary key of queues
select name
from queues
order by name
