-- Notes that the delay of a job has begun.
-- parameters: 1 job id
-- index: primary key of conveyor_flow_parents
update conveyor_flow_parents
set delay = null
where job_id = ?1
