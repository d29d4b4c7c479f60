-- Adds jobs of which some have deduplication keys; see the function.
-- parameters: 1 to 14 as in save_jobs, 15 keys, 16 how long they are taken, 17 modes, 18 states in which they are held,
--   19 digests of the adds
-- index: primary key of live, history_id, primary key of deduplication_keys, primary key of deduplicated_adds
select woken, delayed, duplicates, null, met, met_ids, met_outcomes
from conveyor.add_deduplicated_jobs(
  $1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16, $17, $18, $19
)
