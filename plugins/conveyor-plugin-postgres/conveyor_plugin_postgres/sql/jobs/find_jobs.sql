-- The jobs of these ids, which were made between two times.
-- parameters: 1 ids, 2 since, 3 until
-- index: primary key of live, history_id
select *
from conveyor.find_jobs($1, $2, $3)
