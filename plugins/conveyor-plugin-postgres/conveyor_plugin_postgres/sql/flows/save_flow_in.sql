-- Adds a flow inside a caller's transaction, as save_jobs_in adds jobs.
-- parameters: 1 to 13 as in save_jobs_in, 14 to 25 as 15 to 26 in save_flow
-- index: primary keys of live, flow_parents and flow_edges, history_id
select woken, delayed, taken, (
  select format('%s %s %s', current_database(), 'conveyor.live'::regclass::oid, extract(epoch from applied_at))
  from conveyor.migrations
  where version = 1
)
from conveyor.add_flow($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, true, $14, $15, $16, $17, $18, $19, $20, $21, $22, $23, $24, $25)
