-- Forgets how a job's children stood.
-- parameters: 1 job id
-- index: primary key of flow_parents
delete from flow_parents
where job_id = ?1
