-- How full each buffer is.
-- parameters: none
-- index: buffered_order, which has all of it
select buffer, count(*), sum(size), min(added_at), max(added_at)
from buffered
group by buffer
