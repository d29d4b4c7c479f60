-- Keeps a live job as it is until the transaction ends.
-- parameters: 1 job id
-- index: primary key of live
select true
from conveyor.live
where id = $1
for update
