-- Those of the queues that have limits or groups.
-- parameters: 1 queues
-- index: primary key of guards; new_guards_queue
select queue
from conveyor.guards
where queue = any($1)
union
select queue
from conveyor.new_guards
where queue = any($1)
