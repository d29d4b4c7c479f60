-- Takes a buffer for a flush, unless another has it.
-- parameters: 1 buffer, 2 token, 3 now, 4 until
-- index: primary key of conveyor_buffer_takes
insert into conveyor_buffer_takes as buffer_takes (buffer, token, taken_until)
values (?1, ?2, ?4)
on conflict (buffer) do update
set token = excluded.token,
    taken_until = excluded.taken_until
where buffer_takes.token is null
  or buffer_takes.token = excluded.token
  or buffer_takes.taken_until <= ?3
