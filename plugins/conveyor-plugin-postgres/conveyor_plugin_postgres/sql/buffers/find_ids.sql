-- Ids that begin alike, of jobs in buffers and of those that went into others.
-- parameters: 1 the beginning, 2 what is above every id that begins so, 3 how many
-- index: primary keys of buffered and buffer_merges
select id
from (
  (select id from conveyor.buffered where id >= $1 and id < $2 order by id limit $3)
  union
  (
    select job_id as id
    from conveyor.buffer_merges
    where job_id >= $1 and job_id < $2 and into_id <> job_id
    order by job_id
    limit $3
  )
) as found
order by id
limit $3
