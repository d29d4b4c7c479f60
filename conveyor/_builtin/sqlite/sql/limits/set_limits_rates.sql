-- The rates of a queue that were used: scope and key.
-- parameters: 1 queue
-- index: primary key of conveyor_rates
select scope, key
from conveyor_rates
where queue = ?1
