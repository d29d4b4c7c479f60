-- The number of the job that came last into a buffer, of those that are there.
-- parameters: none
-- index: primary key of conveyor_buffered
select coalesce(max(seq), 0)
from conveyor_buffered
