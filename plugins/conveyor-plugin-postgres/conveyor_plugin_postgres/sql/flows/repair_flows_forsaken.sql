-- Parents that are gone, whose children are still known.
-- parameters: 1 how many
-- index: primary key of live, history_id
select job_id
from conveyor.flow_parents
where not exists (select from conveyor.live where live.id = flow_parents.job_id offset 0)
  and not exists (select from conveyor.history where history.id = flow_parents.job_id offset 0)
limit $1
