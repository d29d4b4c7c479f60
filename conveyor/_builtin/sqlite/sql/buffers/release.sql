-- Lets others take a buffer.
-- parameters: 1 token
-- index: none: one row for each buffer that was ever flushed
update conveyor_buffer_takes
set token = null,
    taken_until = null
where token = ?1
