-- Adds jobs inside a caller's transaction: those who wait are woken at its commit. With what tells the store apart.
-- parameters: as those of save_jobs, without the last
-- index: primary key of live, history_id
select woken, delayed, duplicates, (
  select format('%s %s %s', current_database(), 'conveyor.live'::regclass::oid, extract(epoch from applied_at))
  from conveyor.migrations
  where version = 1
)
from conveyor.add_jobs($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, true)
