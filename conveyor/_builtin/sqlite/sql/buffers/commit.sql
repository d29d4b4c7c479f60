-- Which buffer a token has, and whether it was committed.
-- parameters: 1 token
-- index: none: one row for each buffer that was ever flushed
select buffer, committed = ?1
from conveyor_buffer_takes
where token = ?1 or committed = ?1
