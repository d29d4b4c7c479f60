-- Keeps a settled job as it is until the transaction ends.
-- parameters: 1 job id
-- index: history_id
select true
from conveyor.history
where id = $1
for update
