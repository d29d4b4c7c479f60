-- Writes down how runs of one fetch settled their jobs: those that ended alike, with results or errors.
-- parameters: 1 a JSON array of [job id, start and length of the result, start and length of the error, its fingerprint
--   (or nothing)], 2 session id, 3 fetch number, 4 state, 5 now, 6 outcome, 7 attempts counted (0 or 1),
--   8 all results and errors, one after another; neither is ever empty, so a length of 0 stands for null
-- index: unique (id) of jobs
insert into conveyor_history (seq, queue, state, priority, attempts_made, stalled_count, run_at, started_at,
                              finished_at, session_id, fetch_number, progress, result, error, attempt, outcome,
                              error_group)
select live.seq, live.queue, ?4, priority, attempts_made + ?7, stalled_count + (?6 = 'stalled'), run_at, started_at, ?5,
       session_id, fetch_number, progress,
       nullif(substr(?8, json_extract(ended.value, '$[1]'), json_extract(ended.value, '$[2]')), x''),
       nullif(substr(?8, json_extract(ended.value, '$[3]'), json_extract(ended.value, '$[4]')), x''),
       attempts_made + 1, ?6,
       case when ?4 = 'failed' then nullif(json_extract(ended.value, '$[5]'), '') end
from json_each(?1) as ended
cross join conveyor_jobs as jobs on jobs.id = json_extract(ended.value, '$[0]')
cross join conveyor_live as live on live.seq = jobs.seq
where session_id = ?2
  and fetch_number = ?3
  and live.state = 'active'
on conflict (seq) do nothing
