-- How much of each rate of a queue is used.
-- parameters: 1 queue
-- index: primary key of rates
select scope, key, level, at
from conveyor.rates
where queue = $1
