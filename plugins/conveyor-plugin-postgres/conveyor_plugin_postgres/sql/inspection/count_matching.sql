-- How many jobs match, counted no farther than a bound; see the function.
-- parameters: 1 queues or null, 2 names or null, 3 states or null, 4 tags, 5 created from, 6 created to, 7 text in small
--   letters or null, 8 finished from, 9 finished to, 10 text of the error or null, 11 least attempts, 12 error group or
--   null, 13 the bound
-- index: none
select count(*)
from (
  select
  from conveyor.matching_jobs($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12)
  limit $13
) as matching
