-- The histories of batch jobs, each from its beginning.
-- parameters: 1 ids as a JSON array
-- index: primary key of conveyor_batch_changes
select batch_id, at, before, after, command, asked_by, reason
from conveyor_batch_changes
where batch_id in (select value from json_each(?1))
order by batch_id, number
