-- How full each buffer is, and until when a flush has it that began last and did not end.
-- parameters: none
-- index: conveyor_buffered_order, which has all of it, primary key of conveyor_buffer_takes
select buffer, count(*), sum(size), min(added_at), max(added_at),
       (select taken_until from conveyor_buffer_takes as buffer_takes where buffer_takes.buffer = buffered.buffer)
from conveyor_buffered as buffered
group by buffer
