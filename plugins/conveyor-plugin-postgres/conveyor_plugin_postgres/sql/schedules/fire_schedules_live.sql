-- Those of some jobs that have not ended.
-- parameters: 1 ids
-- index: primary key of live
select id
from conveyor.live
where id = any($1::text[])
