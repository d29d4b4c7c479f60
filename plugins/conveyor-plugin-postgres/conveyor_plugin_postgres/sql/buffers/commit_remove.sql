-- Takes jobs out of a buffer, and keeps which of them went into which others; see the function.
-- parameters: 1 ids, 2 ids of the others, null of those that went on as they were, 3 now or null
-- index: primary key of buffered and buffer_merges
select conveyor.leave_buffer($1, $2, coalesce($3::timestamptz, clock_timestamp()))
