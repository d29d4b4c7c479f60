-- Takes a key that no job took before, for a job that is new.
-- parameters: 1 queue, 2 name, 3 key, 4 job id, 5 until when, or null, 6 digest of the add
-- index: unique (id) of jobs, primary key of deduplicated_adds, unique (queue, name, key) of deduplication_keys
insert into deduplication_keys (queue, name, key, job_id, until)
select ?1, ?2, ?3, ?4, ?5
where not exists (select 1 from jobs where id = ?4)
  and not exists (select 1 from deduplicated_adds where digest = ?6)
on conflict do nothing
