-- Writes down that a job failed because it stalled too often.
-- parameters: 1 job id, 2 now, 3 error, 4 when to remove it, or null
-- index: unique (id) of jobs
insert into conveyor_history (seq, queue, state, priority, attempts_made, stalled_count, run_at, started_at,
                              finished_at, session_id, fetch_number, progress, error, attempt, outcome, remove_at,
                              error_group)
select seq, queue, 'failed', priority, attempts_made, stalled_count + 1, run_at, started_at, ?2,
       session_id, fetch_number, progress, ?3, attempts_made + 1, 'stalled', ?4,
       nullif(json_extract(cast(?3 as text), '$.fingerprint'), '')
from conveyor_live
where seq = (select jobs.seq from conveyor_jobs as jobs where jobs.id = ?1)
  and state = 'active'
