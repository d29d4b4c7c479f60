-- Lets a flush have a buffer no more, whose jobs are not what they were when it took them. Until the transaction ends,
-- nobody takes or commits anything of this buffer.
-- parameters: 1 buffer
-- index: primary key of buffer_takes
insert into conveyor.buffer_takes (buffer)
values ($1)
on conflict (buffer) do update
set token = null,
    taken_until = null
