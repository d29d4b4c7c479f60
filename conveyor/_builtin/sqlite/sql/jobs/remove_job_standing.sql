-- Forgets how a job's children stood.
-- parameters: 1 job id
-- index: primary key of conveyor_flow_parents
delete from conveyor_flow_parents
where job_id = ?1
