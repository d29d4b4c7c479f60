-- Those of the queues that have limits or groups.
-- parameters: 1 queues
-- index: primary key of guards
select queue
from conveyor.guards
where queue = any($1)
