-- Copies a settled job back among the live ones.
-- parameters: 1 job id, 2 seq, 3 now, 4 whether it has the option lifo, 5 payload or null
-- index: primary key of history
insert into jobs (seq, id, queue, name, state, priority, order_at, order_seq, payload, options, created_at, run_at,
                  started_at, session_id, fetch_number, added_payload)
select ?2, id, queue, name, 'waiting', priority, iif(?4, -1 - ?3, ?3), iif(?4, -1 - ?2, ?2),
       coalesce(?5, payload), options, created_at, ?3, null, session_id, fetch_number,
       iif(?5 is null, added_payload, coalesce(added_payload, payload))
from history
where id = ?1
