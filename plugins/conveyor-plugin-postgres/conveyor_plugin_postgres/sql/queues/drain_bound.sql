-- The number of the job that was added last.
-- index: none
select last_value
from conveyor.job_seq
