-- Forgets which jobs went into which others long ago.
-- parameters: 1 how old, 2 how many, 3 now or null
-- index: buffer_merges_age, primary key of buffer_merges
delete from conveyor.buffer_merges
where job_id = any(array(
  select job_id
  from conveyor.buffer_merges
  -- As a subquery, the time is looked up in the index; the clock by itself would be asked for each row of it.
  where merged_at <= (select coalesce($3::timestamptz, clock_timestamp()) - $1::interval)
  order by merged_at
  limit $2
))
