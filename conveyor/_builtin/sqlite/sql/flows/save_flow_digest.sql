-- The digest of the flow that a job is the root of; null: it is none that was added as a whole.
-- parameters: 1 job id
-- index: primary key of conveyor_flow_parents
select digest
from conveyor_flow_parents
where job_id = ?1
