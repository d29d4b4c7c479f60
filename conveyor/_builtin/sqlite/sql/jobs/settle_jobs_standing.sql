-- How the children of a job stand, and what it does when one fails.
-- parameters: 1 job id
-- index: primary key of conveyor_flow_parents
select policy, open_count, failed_count
from conveyor_flow_parents
where job_id = ?1
