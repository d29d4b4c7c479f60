-- Notes that a flush was committed.
-- parameters: 1 token
-- index: none: one row for each buffer that was ever flushed
update conveyor_buffer_takes
set token = null,
    taken_until = null,
    committed = ?1
where token = ?1
