-- Who took those of these keys last that somebody took: what an untouched job of that queue and name is made of (nulls: it
-- is gone), the key, whose it is, and whether for a time, not over yet. Untouched: it never ran, so it has nothing but
-- this. Each column costs as much as half a look, so the rest of others is read where it is wanted.
-- parameters: 1 keys as a JSON array, 2 queue, 3 name, 4 now
-- index: unique (queue, name, key) of deduplication_keys, unique (id) of jobs
select
  jobs.payload, jobs.options, coalesce(live.state, history.state), live.priority, jobs.created_at, live.run_at,
  jobs.expires_at,
  live.attempts_made = 0 and live.stalled_count = 0 and live.started_at is null and live.session_id is null
    and live.progress is null and live.error is null,
  taken.key, taken.job_id, taken.until is not null
from json_each(?1) as asked
cross join conveyor_deduplication_keys as taken
  on taken.queue = ?2
  and taken.name = ?3
  and taken.key = asked.value
  and (taken.until is null or taken.until > ?4)
left join conveyor_jobs as jobs on jobs.id = taken.job_id
left join conveyor_live as live on live.seq = jobs.seq
-- A job is in one of the two: who is found there is not looked for here.
left join conveyor_history as history on history.seq = case when live.seq is null then jobs.seq end
