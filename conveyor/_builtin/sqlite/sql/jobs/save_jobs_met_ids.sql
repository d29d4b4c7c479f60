-- Those of these ids that a job has (1), and those of which an add was answered that left no job (0).
-- parameters: 1 ids as a JSON array, 2 now
-- index: unique (id) of jobs, conveyor_deduplicated_adds_id
select value, 1
from json_each(?1) as asked
where exists (select 1 from conveyor_jobs where id = value)
union all
select value, 0
from json_each(?1) as asked
where exists (select 1 from conveyor_deduplicated_adds where add_id = value and forget_at > ?2)
