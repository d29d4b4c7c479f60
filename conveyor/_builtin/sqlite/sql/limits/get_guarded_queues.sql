-- Those of the queues, given as JSON, that have limits or groups.
-- parameters: 1 queues as JSON
-- index: primary key of conveyor_guards
select queue
from conveyor_guards
where queue in (select value from json_each(?1))
