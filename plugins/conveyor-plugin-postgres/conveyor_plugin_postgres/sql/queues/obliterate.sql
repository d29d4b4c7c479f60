-- A queue's jobs, so that nobody fetches one meanwhile.
-- parameters: 1 queue
-- index: none
select id
from conveyor.live
where queue = $1
order by id
for update
