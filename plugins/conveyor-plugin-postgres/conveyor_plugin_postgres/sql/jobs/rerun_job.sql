-- Makes a settled job wait again, with the run that settled it among its attempts.
-- parameters: 1 job id, 2 payload or null, 3 whether it is lifo, 4 now or null, 5 state, 6 when it ended
-- index: history_id of one day, primary key of queue_groups
with gone as (
  delete from conveyor.history
  where id = $1
    and finished_at = $6
  returning *
),
kept as (
  insert into conveyor.attempts (job_id, number, session_id, fetch_number, started_at, ended_at, outcome, error)
  select id, attempt, session_id, fetch_number, coalesce(started_at, finished_at), finished_at, outcome, error
  from gone
  where attempt is not null
),
told as (
  insert into conveyor.events (kind, queue, job_id, name)
  select 'rerun', queue, id, name
  from gone
  where exists (select from conveyor.watchers where watchers.queue in ('', gone.queue))
),
again as (
  select gone.*, nextval('conveyor.job_seq') as new_seq, coalesce($4::timestamptz, clock_timestamp()) as now_at
  from gone
),
rerun as (
  insert into conveyor.live (
    id, seq, queue, name, state, priority, order_at, order_seq, created_at, run_at, session_id, fetch_number, payload,
    options, added_payload, group_id
  )
  select id, new_seq, queue, name, $5, priority,
         case when $3::boolean then -1 - conveyor.micros(now_at) else conveyor.micros(now_at) end,
         case when $3::boolean then -1 - new_seq else new_seq end,
         created_at, now_at, session_id, fetch_number, coalesce($2::bytea, payload), options,
         case when $2::bytea is null then added_payload else coalesce(added_payload, payload) end,
         conveyor.group_of(options)
  from again
  returning queue, group_id, state
)
select conveyor.admit_groups(array[queue], array[group_id], array[state = 'waiting'])
from rerun
where group_id is not null
