-- Takes a buffer for a flush, unless another has it or it is empty.
-- parameters: 1 buffer, 2 token, 3 now or null, 4 for how long
-- index: buffered_order, primary key of buffer_takes
insert into conveyor.buffer_takes as known (buffer, token, taken_until)
select $1, $2, now_at + $4::interval
from (select coalesce($3::timestamptz, clock_timestamp()) as now_at) as clock
where (
  -- With an order, the index is read whatever share of the table the buffer is.
  select seq from conveyor.buffered where buffered.buffer = $1 order by seq limit 1
) is not null
on conflict (buffer) do update
set token = excluded.token,
    taken_until = excluded.taken_until
where known.token is null
  or known.token = excluded.token
  or known.taken_until <= excluded.taken_until - $4::interval
