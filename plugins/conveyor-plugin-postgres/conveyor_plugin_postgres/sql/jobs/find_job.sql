-- The job of an id.
-- parameters: 1 id
-- index: primary key of live, history_id
select live.id, live.queue, live.name, live.payload, live.options, live.state, live.priority,
       live.attempts_made, live.stalled_count, live.created_at, live.run_at, live.started_at,
       null::timestamptz as finished_at, live.session_id, live.fetch_number, live.progress, null::bytea as result, live.error,
       live.expires_at
from conveyor.live
where live.id = $1
union all
select history.id, history.queue, history.name, history.payload, history.options, history.state, history.priority,
       history.attempts_made, history.stalled_count, history.created_at, history.run_at, history.started_at, history.finished_at,
       history.session_id, history.fetch_number, history.progress, history.result, history.error, history.expires_at
from conveyor.history
where history.id = $1
limit 1
