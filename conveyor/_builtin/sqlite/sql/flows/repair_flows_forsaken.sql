-- Parents that are gone, whose children are still known.
-- parameters: 1 how many
-- index: primary key of conveyor_flow_parents, unique (id) of jobs
select job_id
from conveyor_flow_parents as flow_parents
where not exists (select 1 from conveyor_jobs as jobs where jobs.id = flow_parents.job_id)
limit ?1
