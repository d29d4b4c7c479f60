-- Who took those of these keys last that somebody took: the record of that job (nulls: it is gone), as job_records has
-- it, the key, whose it is, and whether for a time, not over yet. A left join of the view would make it of all jobs.
-- parameters: 1 keys as a JSON array, 2 queue, 3 name, 4 now
-- index: unique (queue, name, key) of deduplication_keys, unique (id) of jobs
select
  jobs.id, jobs.queue, jobs.name, jobs.payload, jobs.options,
  coalesce(live.state, history.state), coalesce(live.priority, history.priority),
  coalesce(live.attempts_made, history.attempts_made), coalesce(live.stalled_count, history.stalled_count),
  jobs.created_at, coalesce(live.run_at, history.run_at), coalesce(live.started_at, history.started_at),
  history.finished_at, coalesce(live.session_id, history.session_id),
  coalesce(live.fetch_number, history.fetch_number), coalesce(live.progress, history.progress),
  history.result, coalesce(live.error, history.error), jobs.expires_at,
  taken.key, taken.job_id, taken.until is not null
from json_each(?1) as asked
cross join deduplication_keys as taken
  on taken.queue = ?2
  and taken.name = ?3
  and taken.key = asked.value
  and (taken.until is null or taken.until > ?4)
left join jobs on jobs.id = taken.job_id
left join live on live.seq = jobs.seq
left join history on history.seq = jobs.seq and live.seq is null
