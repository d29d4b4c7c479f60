-- Lets a flush have a buffer no more, whose jobs are not what they were when it took them.
-- parameters: 1 buffer
-- index: primary key of conveyor_buffer_takes
update conveyor_buffer_takes
set token = null,
    taken_until = null
where buffer = ?1
