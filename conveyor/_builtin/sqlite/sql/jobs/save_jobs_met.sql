-- What an add with a key meets: whether a job has its id; what the same add was answered that left no job; who took its
-- key last, where that one stands (null: it is gone), and whether it took the key for a time, not over yet.
-- parameters: 1 id, 2 digest, 3 queue, 4 name, 5 key, 6 now
-- index: unique (id) of jobs, primary key of deduplicated_adds, unique (queue, name, key) of deduplication_keys
select
  exists (select 1 from jobs where id = ?1),
  answered.job_id,
  answered.outcome,
  taken.job_id,
  coalesce(live.state, history.state),
  taken.until is not null
from (select 1) as one
left join deduplicated_adds as answered on answered.digest = ?2 and answered.forget_at > ?6
left join deduplication_keys as taken
  on taken.queue = ?3 and taken.name = ?4 and taken.key = ?5 and (taken.until is null or taken.until > ?6)
left join jobs on jobs.id = taken.job_id
left join live on live.seq = jobs.seq
left join history on history.seq = jobs.seq
