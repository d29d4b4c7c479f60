-- Notes how the children of a job stand.
-- parameters: 1 job id, 2 how many have not ended, 3 how many failed
-- index: primary key of conveyor_flow_parents
update conveyor_flow_parents
set open_count = ?2, failed_count = ?3
where job_id = ?1
