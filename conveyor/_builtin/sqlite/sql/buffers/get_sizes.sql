-- How full each buffer is, and until when a flush has it that began last and did not end.
-- parameters: none
-- index: buffered_order, which has all of it, primary key of buffer_takes
select buffer, count(*), sum(size), min(added_at), max(added_at),
       (select taken_until from buffer_takes where buffer_takes.buffer = buffered.buffer)
from buffered
group by buffer
