-- Adds jobs of which some have groups with a size inside a caller's transaction, with what tells the store apart.
-- parameters: 1 to 13 as in save_jobs_in, 14 groups, 15 sizes
-- index: primary key of live, history_id, live_grouped
select woken, delayed, duplicates, (
  select format('%s %s %s', current_database(), 'conveyor.live'::regclass::oid, extract(epoch from applied_at))
  from conveyor.migrations
  where version = 1
), crowded
from conveyor.add_sized_jobs(
  $1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, true, $14, $15
)
