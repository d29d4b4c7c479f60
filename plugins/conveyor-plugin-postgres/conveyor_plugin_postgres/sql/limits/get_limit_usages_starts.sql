-- What started in the windows of a queue, oldest first.
-- parameters: 1 queue
-- index: primary key of starts
select scope, key, at, weight
from conveyor.starts
where queue = $1
order by at
