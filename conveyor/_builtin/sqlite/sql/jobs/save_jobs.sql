-- Adds a job unless its id is taken by a live or settled one, or by one that was removed lately.
-- parameters: 1 seq, 2 id, 3 queue, 4 name, 5 state, 6 priority, 7 order_at, 8 order_seq, 9 payload, 10 options, 11 created_at,
--   12 run_at
-- index: unique (id) of jobs, primary key of history, removed_job
insert into jobs (seq, id, queue, name, state, priority, order_at, order_seq, payload, options, created_at, run_at)
select ?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12
where not exists (select 1 from history where id = ?2)
  and not exists (select 1 from removed where job_id = ?2)
on conflict (id) do nothing
