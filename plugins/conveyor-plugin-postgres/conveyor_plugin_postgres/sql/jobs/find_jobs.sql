-- The jobs of these ids.
-- parameters: 1 ids
-- index: primary key of live, history_id
select *
from conveyor.job_records
where id = any($1::text[])
