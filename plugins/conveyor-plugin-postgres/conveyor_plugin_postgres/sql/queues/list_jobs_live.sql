-- A page of a queue's live jobs of one state, in the order in which they were added.
-- parameters: 1 queue, 2 state, 3 how many, 4 how many to pass over
-- index: none
select live.id, live.queue, live.name, live.payload, live.options, live.state, live.priority,
       live.attempts_made, live.stalled_count, live.created_at, live.run_at, live.started_at,
       null::timestamptz as finished_at, live.session_id, live.fetch_number, live.progress, null::bytea as result, live.error,
       live.expires_at
from conveyor.live
where live.queue = $1
  and live.state = $2
order by live.seq
limit $3 offset $4
