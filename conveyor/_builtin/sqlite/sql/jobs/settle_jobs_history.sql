-- Writes down how runs of one fetch settled their jobs: those that ended alike, with neither result nor error.
-- parameters: 1 job ids as a JSON array, 2 session id, 3 fetch number, 4 state, 5 now, 6 outcome,
--   7 attempts counted (0 or 1)
-- index: unique (id) of jobs
insert into conveyor_history (seq, queue, state, priority, attempts_made, stalled_count, run_at, started_at,
                              finished_at, session_id, fetch_number, progress, attempt, outcome)
select live.seq, live.queue, ?4, priority, attempts_made + ?7, stalled_count + (?6 = 'stalled'), run_at, started_at, ?5,
       session_id, fetch_number, progress, attempts_made + 1, ?6
from json_each(?1) as ended
cross join conveyor_jobs as jobs on jobs.id = ended.value
cross join conveyor_live as live on live.seq = jobs.seq
where session_id = ?2
  and fetch_number = ?3
  and live.state = 'active'
on conflict (seq) do nothing
