-- Adds a line to the history of a batch job.
-- parameters: 1 id of the batch job, 2 id of the change or null, 3 now, 4 status before or null, 5 status after,
--   6 command or null, 7 asked by, 8 reason
-- index: primary key of conveyor_batch_changes
insert into conveyor_batch_changes (batch_id, number, change_id, at, before, after, command, asked_by, reason)
select ?1, coalesce(max(number), 0) + 1, ?2, ?3, ?4, ?5, ?6, ?7, ?8
from conveyor_batch_changes
where batch_id = ?1
