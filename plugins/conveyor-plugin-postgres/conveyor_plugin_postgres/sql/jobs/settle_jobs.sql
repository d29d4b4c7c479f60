-- Records how runs ended; returns the places of those that were refused, and why; see the function.
-- parameters: 1 ids, 2 session ids, 3 fetch numbers, 4 outcomes, 5 states, 6 results, 7 errors, 8 delays, 9 whether a run
--   is not counted, 10 whether the job is removed, 11 how long it is kept, 12 now or null,
--   13 flows, 14 tallies or null
-- index: primary key of live
select refused, reason
from conveyor.settle_jobs($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14)
