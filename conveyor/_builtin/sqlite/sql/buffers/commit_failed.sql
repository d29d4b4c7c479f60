-- Writes down that jobs failed which a flush added just now; one that was there before and ran is left alone.
-- parameters: 1 ids as a JSON array, 2 now, 3 error, 4 its fingerprint, 5 when to remove them, or null
-- index: unique (id) of jobs
insert into conveyor_history (seq, queue, state, priority, attempts_made, stalled_count, run_at, started_at,
                              finished_at, session_id, fetch_number, progress, error, remove_at, error_group)
select seq, queue, 'failed', priority, attempts_made, stalled_count, run_at, started_at, ?2,
       session_id, fetch_number, progress, ?3, ?5, ?4
from conveyor_live
where seq in (select jobs.seq from conveyor_jobs as jobs where jobs.id in (select value from json_each(?1)))
  and state in ('waiting', 'delayed')
