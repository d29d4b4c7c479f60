-- Jobs that match, by id from the lowest up; see the function.
-- parameters: 1 queues or null, 2 names or null, 3 states or null, 4 tags, 5 created from, 6 created to, 7 text in small
--   letters or null, 8 finished from, 9 finished to, 10 text of the error or null, 11 least attempts, 12 error group or
--   null, 13 cursor or null, 14 how many
-- index: primary key of live, history_id
select *
from conveyor.matching_jobs($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12) as job
where $13::text is null
  or job.id > $13::text collate "C"
order by job.id
limit $14
