-- Parents that are gone, whose children are still known.
-- parameters: 1 how many
-- index: primary key of flow_parents, unique (id) of jobs
select job_id
from flow_parents
where not exists (select 1 from jobs where jobs.id = flow_parents.job_id)
limit ?1
