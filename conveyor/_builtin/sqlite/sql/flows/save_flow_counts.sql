-- Counts children that a job waits for from now on.
-- parameters: 1 job id, 2 how many
-- index: primary key of conveyor_flow_parents
update conveyor_flow_parents
set open_count = open_count + ?2
where job_id = ?1
