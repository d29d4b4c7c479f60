-- Makes jobs live that were just added and differ in nothing but id and payload.
-- parameters: 1 seqs as a JSON array, 2 queue, 3 name, 4 state, 5 priority, 6 order_at, 7 run_at,
--   8 expires_at or null, 9 group or null; order_seq is mirrored where order_at is
-- index: none
insert into conveyor_live (seq, queue, name, state, priority, order_at, order_seq, run_at, expires_at, group_id)
select value, ?2, ?3, ?4, ?5, ?6, case when ?6 < 0 then -1 - value else value end, ?7, ?8, ?9
from json_each(?1)
