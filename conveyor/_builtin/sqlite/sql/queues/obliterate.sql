-- Every job of a queue.
-- parameters: 1 queue
-- index: history_finished; the live ones are all read
select id
from job_records
where queue = ?1
