-- Forgets which jobs went into which others long ago.
-- parameters: 1 until when, 2 how many
-- index: buffer_merges_age
delete from buffer_merges
where job_id in (
  select job_id
  from buffer_merges
  where merged_at <= ?1
  order by merged_at
  limit ?2
)
