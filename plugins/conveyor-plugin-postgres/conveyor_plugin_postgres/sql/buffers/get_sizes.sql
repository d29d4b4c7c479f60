-- How full each buffer is, and until when a flush has it that began last and did not end.
-- parameters: none
-- index: none: it counts all there is
select buffer, count(*), sum(size)::bigint, min(added_at), max(added_at),
       (select taken_until from conveyor.buffer_takes as takes where takes.buffer = buffered.buffer)
from conveyor.buffered
group by buffer
