-- Adds jobs that wait for one another; see the function.
-- parameters: 1 to 14 as in save_jobs, 15 parents' ids, 16 their policies, 17 their delays, 18 whether they are removed when
--   a child fails, 19 how long they are kept then, 20 ids of those that are new, 21 their times, 22 parents of the edges,
--   23 children, 24 the children's queues, 25 their names, 26 the digest of a whole flow, or null
-- index: primary keys of live, flow_parents and flow_edges, history_id
select woken, delayed, taken
from conveyor.add_flow($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16, $17, $18, $19, $20, $21, $22, $23, $24, $25, $26)
