-- Whether a batch job has seen a change.
-- parameters: 1 id of the batch job, 2 id of the change
-- index: conveyor_batch_changes_same
select 1
from conveyor_batch_changes
where batch_id = ?1
  and change_id = ?2
