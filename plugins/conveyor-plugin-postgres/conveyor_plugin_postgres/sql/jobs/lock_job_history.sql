-- Keeps a settled job as it is until the transaction ends.
-- parameters: 1 job id, 2 when it ended
-- index: history_id of one day
select true
from conveyor.history
where id = $1
  and finished_at = $2
for update
