-- Makes delayed jobs wait whose time has come; returns how many of each queue; see the function.
-- parameters: 1 queues, 2 how many in all, 3 now or null
-- index: live_delayed
select of_queue, promoted_count
from conveyor.promote_delayed_jobs($1, $2, coalesce($3::timestamptz, statement_timestamp()))
