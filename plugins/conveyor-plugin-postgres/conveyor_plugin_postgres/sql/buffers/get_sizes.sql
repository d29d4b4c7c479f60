-- How full each buffer is.
-- parameters: none
-- index: none: it counts all there is
select buffer, count(*), sum(size)::bigint, min(added_at), max(added_at)
from conveyor.buffered
group by buffer
