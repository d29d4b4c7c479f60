-- Locks the waiting jobs that were picked one by one.
-- parameters: 1 session id, 2 fetch number, 3 now, 4 seqs as a JSON array
-- index: primary key of jobs
update jobs
set state = 'active', session_id = ?1, fetch_number = ?2, started_at = ?3
where seq in (select value from json_each(?4))
  and state = 'waiting'
returning id, queue, name, payload, options, state, priority, attempts_made, stalled_count, created_at, run_at,
          started_at, null, session_id, fetch_number, progress, null, error,
          order_at, order_seq
