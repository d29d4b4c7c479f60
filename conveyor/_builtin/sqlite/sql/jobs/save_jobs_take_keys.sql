-- Takes keys that no job took before, for jobs that are new; of several with one key the first takes it.
-- parameters: 1 JSON rows of queue, name, key, job id, until when (or null), digest of the add, 2 now
-- index: unique (id) of jobs, primary key of deduplicated_adds, unique (queue, name, key) of deduplication_keys
insert into deduplication_keys (queue, name, key, job_id, until)
select
  json_extract(value, '$[0]'), json_extract(value, '$[1]'), json_extract(value, '$[2]'), json_extract(value, '$[3]'),
  json_extract(value, '$[4]')
from json_each(?1)
where not exists (select 1 from jobs where id = json_extract(value, '$[3]'))
  and not exists (
    select 1 from deduplicated_adds where digest = json_extract(value, '$[5]') and forget_at > ?2
  )
on conflict do nothing
returning job_id
