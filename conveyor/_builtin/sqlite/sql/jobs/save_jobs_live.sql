-- Makes a job live that was just added.
-- parameters: 1 seq, 2 queue, 3 name, 4 state, 5 priority, 6 order_at, 7 order_seq, 8 run_at,
--   9 expires_at or null, 10 group or null
-- index: none
insert into conveyor_live (seq, queue, name, state, priority, order_at, order_seq, run_at, expires_at, group_id)
values (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10)
