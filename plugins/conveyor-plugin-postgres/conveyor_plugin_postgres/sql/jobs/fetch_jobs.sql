-- Locks the next jobs for a worker session; see the function.
-- parameters: 1 session id, 2 fetch number, 3 lock duration, 4 queues, 5 limits, 6 lifos, 7 names, 8 whether suspects are
--   meant, 9 to 11 priorities, order_ats and order_seqs to start from, 12 now or null, 13 groups to pass over as JSON or null
-- index: live_ready, live_suspects, live_expiring, live_active
select *
from conveyor.fetch_jobs($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13)
