-- What adds of one queue and name meet, each with its place, from 0: whether a job has the id; whether an add of that id
-- was answered that left no job; who took the key last, where that one stands (null: it is gone), and whether it took the
-- key for a time, not over yet.
-- parameters: 1 JSON rows of id and key, 2 queue, 3 name, 4 now
-- index: unique (id) of jobs, primary key of deduplicated_adds, unique (queue, name, key) of deduplication_keys
select
  asked.key,
  exists (select 1 from jobs where id = json_extract(asked.value, '$[0]')),
  exists (select 1 from deduplicated_adds where add_id = json_extract(asked.value, '$[0]') and forget_at > ?4),
  taken.job_id,
  coalesce(live.state, history.state),
  taken.until is not null
from json_each(?1) as asked
left join deduplication_keys as taken
  on taken.queue = ?2
  and taken.name = ?3
  and taken.key = json_extract(asked.value, '$[1]')
  and (taken.until is null or taken.until > ?4)
left join jobs on jobs.id = taken.job_id
left join live on live.seq = jobs.seq
left join history on history.seq = jobs.seq
