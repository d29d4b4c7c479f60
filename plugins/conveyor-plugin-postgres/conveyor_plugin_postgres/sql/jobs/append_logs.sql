-- Appends lines; returns the places of those that were refused, and why; see the function.
-- parameters: 1 job ids, 2 session ids or nulls, 3 fetch numbers or nulls, 4 whether the lock is of that job,
--   5 messages, 6 now or null
-- index: primary key of live, history_id
select refused, reason
from conveyor.append_logs($1, $2, $3, $4, $5, coalesce($6::timestamptz, clock_timestamp()))
