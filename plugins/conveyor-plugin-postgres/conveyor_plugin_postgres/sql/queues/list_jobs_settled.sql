-- A page of a queue's settled jobs of one state, the newest first.
-- parameters: 1 queue, 2 state, 3 how many, 4 how many to pass over
-- index: history_finished, backwards
select history.id, history.queue, history.name, history.payload, history.options, history.state, history.priority,
       history.attempts_made, history.stalled_count, history.created_at, history.run_at, history.started_at, history.finished_at,
       history.session_id, history.fetch_number, history.progress, history.result, history.error, history.expires_at
from conveyor.history
where history.queue = $1
  and history.state = $2
order by history.finished_at desc, history.seq desc
limit $3 offset $4
