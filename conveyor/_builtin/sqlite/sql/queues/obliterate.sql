-- Every job of a queue.
-- parameters: 1 queue
-- index: none: it reads all jobs
select id
from conveyor_jobs
where queue = ?1
