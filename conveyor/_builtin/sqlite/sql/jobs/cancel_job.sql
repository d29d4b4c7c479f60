-- Writes down that a live job was cancelled, or failed by hand.
-- parameters: 1 job id, 2 now, 3 error, 4 cancelled or failed, 5 when to remove it, or null
-- index: unique (id) of jobs
insert into conveyor_history (seq, queue, state, priority, attempts_made, stalled_count, run_at, started_at,
                              finished_at, session_id, fetch_number, progress, error, attempt, outcome, remove_at,
                              error_group)
select seq, queue, ?4, priority, attempts_made, stalled_count, run_at, started_at, ?2,
       session_id, fetch_number, progress, ?3,
       case when state = 'active' then attempts_made + 1 end, case when state = 'active' then ?4 end, ?5,
       case when ?4 = 'failed' then nullif(json_extract(cast(?3 as text), '$.fingerprint'), '') end
from conveyor_live
where seq = (select jobs.seq from conveyor_jobs as jobs where jobs.id = ?1)
