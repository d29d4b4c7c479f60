-- Who took a key last, where that one stands (null: it is gone), and whether it took the key for a time, not over yet.
-- parameters: 1 queue, 2 name, 3 key, 4 now
-- index: unique (queue, name, key) of deduplication_keys, unique (id) of jobs
select
  taken.job_id,
  coalesce(live.state, history.state),
  taken.until is not null
from deduplication_keys as taken
left join jobs on jobs.id = taken.job_id
left join live on live.seq = jobs.seq
left join history on history.seq = jobs.seq
where taken.queue = ?1
  and taken.name = ?2
  and taken.key = ?3
  and (taken.until is null or taken.until > ?4)
