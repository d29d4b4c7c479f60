-- Adds jobs of which some have deduplication keys inside a caller's transaction, with what tells the store apart.
-- parameters: 1 to 13 as in save_jobs_in, 14 to 18 as 15 to 19 in save_jobs_deduplicated
-- index: primary key of live, history_id, primary key of deduplication_keys, primary key of deduplicated_adds
select woken, delayed, duplicates, (
  select format('%s %s %s', current_database(), 'conveyor.live'::regclass::oid, extract(epoch from applied_at))
  from conveyor.migrations
  where version = 1
), met, met_ids, met_outcomes
from conveyor.add_deduplicated_jobs(
  $1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, true, $14, $15, $16, $17, $18
)
