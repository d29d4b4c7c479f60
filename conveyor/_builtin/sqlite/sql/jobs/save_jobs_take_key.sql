-- Takes a key that no job took before.
-- parameters: 1 queue, 2 name, 3 key, 4 job id, 5 until when, or null
-- index: unique (queue, name, key) of deduplication_keys
insert into deduplication_keys (queue, name, key, job_id, until)
values (?1, ?2, ?3, ?4, ?5)
on conflict do nothing
