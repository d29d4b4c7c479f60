-- Puts jobs into a buffer inside a caller's transaction. With what tells the store apart.
-- parameters: as those of add
-- index: primary key of buffered, buffer_merges and live, history_id
select null, null, duplicates, (
  select format('%s %s %s', current_database(), 'conveyor.live'::regclass::oid, extract(epoch from applied_at))
  from conveyor.migrations
  where version = 1
)
from conveyor.add_to_buffer($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13)
