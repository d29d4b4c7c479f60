-- Keeps how far a run is, with the rows that failed; see the function.
-- parameters: 1 id, 2 run, 3 number of the step, 4 cursor, 5 done, 6 total or null, 7 counts as JSON, 8 message,
--   9 result or null, 10 numbers of rows that failed, 11 their errors, 12 now or null
-- index: primary key of batches and batch_errors
select stands, is_own, is_new
from conveyor.save_step($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12)
