-- Ids that begin alike, of jobs in buffers and of those that went into others.
-- parameters: 1 the beginning, 2 what is above every id that begins so, 3 how many
-- index: unique (id) of buffered, primary key of conveyor_buffer_merges
select id from conveyor_buffered where id >= ?1 and id < ?2
union
select job_id from conveyor_buffer_merges where job_id >= ?1 and job_id < ?2 and into_id <> job_id
order by 1
limit ?3
