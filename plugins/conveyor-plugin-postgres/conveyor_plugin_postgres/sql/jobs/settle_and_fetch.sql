-- Records how runs ended, and locks the next jobs; see the function.
-- parameters: 1 to 12 as in settle_jobs, 13 to 23 as 1 to 11 in fetch_jobs, 24 flows, 25 as 13 in fetch_jobs,
--   26 tallies or null
-- index: primary key of live, live_ready
select *
from conveyor.settle_and_fetch(
  $1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16, $17, $18, $19, $20,
  $21, $22, $23, $24, $25, $26
)
