-- Lets a flush have a buffer no more, whose jobs are not what they were when it took them.
-- parameters: 1 buffer
-- index: primary key of buffer_takes
update buffer_takes
set token = null,
    taken_until = null
where buffer = ?1
