-- Forgives a job's children that failed; returns how many have not ended.
-- parameters: 1 job id
-- index: primary key of conveyor_flow_parents
update conveyor_flow_parents
set failed_count = 0
where job_id = ?1
returning open_count
