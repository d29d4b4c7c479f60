-- Adds one job that has a deduplication key and a group with a size; see the function.
-- parameters: 1 to 19 as in save_jobs_deduplicated, 20 group, 21 size
-- index: primary key of live, history_id, live_grouped, primary key of deduplication_keys
select woken, delayed, duplicates, null, met, met_ids, met_outcomes, crowded
from conveyor.add_sized_keyed_job(
  $1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16, $17, $18, $19, $20, $21
)
