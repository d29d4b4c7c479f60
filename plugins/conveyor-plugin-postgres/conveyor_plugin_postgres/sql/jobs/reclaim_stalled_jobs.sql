-- Lets a job wait again whose worker died, with the stall in its history.
-- parameters: 1 job id, 2 now
-- index: primary key of live
with stalled as (
  update conveyor.live
  set state = 'waiting', stalled_count = stalled_count + 1
  where id = $1
    and state = 'active'
  returning id, attempts_made, session_id, fetch_number, started_at
)
insert into conveyor.attempts (job_id, number, session_id, fetch_number, started_at, ended_at, outcome)
select id, attempts_made + 1, session_id, fetch_number, coalesce(started_at, $2), $2, 'stalled'
from stalled
