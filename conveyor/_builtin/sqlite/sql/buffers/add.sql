-- Puts a job into a buffer, unless its id is there, or is that of a job or of one that went on from a buffer.
-- parameters: 1 seq, 2 id, 3 queue, 4 name, 5 payload, 6 options or null, 7 run_at or null, 8 expires_at or null,
-- 9 deduplication or null, 10 size of the payload, 11 buffer, 12 now
-- index: unique (id) of buffered, unique (id) of jobs, primary key of conveyor_buffer_merges
insert into conveyor_buffered (seq, id, queue, name, payload, options, run_at, expires_at, deduplication, size,
                               buffer, added_at)
select ?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12
where not exists (select 1 from conveyor_jobs where id = ?2)
  and not exists (select 1 from conveyor_buffer_merges where job_id = ?2)
on conflict (id) do nothing
