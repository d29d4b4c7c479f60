-- The oldest jobs of a buffer.
-- parameters: 1 buffer, 2 how many
-- index: conveyor_buffered_order
select id, queue, name, payload, options, run_at, expires_at, deduplication, added_at
from conveyor_buffered
where buffer = ?1
order by seq
limit ?2
