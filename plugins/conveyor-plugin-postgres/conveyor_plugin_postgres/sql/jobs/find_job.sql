-- The job of an id.
-- parameters: 1 id
-- index: primary key of live, history_id
select *
from conveyor.job_records
where id = $1
limit 1
