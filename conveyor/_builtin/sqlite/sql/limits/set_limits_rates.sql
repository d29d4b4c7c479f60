-- The rates of a queue that were used: scope and key.
-- parameters: 1 queue
-- index: primary key of rates
select scope, key
from rates
where queue = ?1
