-- The last job there is.
-- parameters: none
-- index: primary key of conveyor_jobs
select max(seq)
from conveyor_jobs
