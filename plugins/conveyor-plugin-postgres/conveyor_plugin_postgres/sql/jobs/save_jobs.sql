-- Adds jobs; see the function.
-- parameters: 1 ids, 2 queues, 3 names, 4 payloads, 5 options, 6 priorities, 7 lifos, 8 delays, 9 run_ats, 10 expire_ins,
--   11 expire_ats, 12 since when ids were made, 13 now or null, 14 whether those who wait are woken at the commit
-- index: primary key of live, history_id
select woken, delayed, duplicates
from conveyor.add_jobs($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14)
