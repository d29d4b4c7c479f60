-- Adds jobs of which some have groups with a size; see the function.
-- parameters: 1 to 14 as in save_jobs, 15 groups, 16 sizes
-- index: primary key of live, history_id, live_grouped
select woken, delayed, duplicates, null, crowded
from conveyor.add_sized_jobs(
  $1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16
)
