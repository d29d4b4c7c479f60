-- Forgets which jobs went into which others long ago.
-- parameters: 1 until when, 2 how many
-- index: conveyor_buffer_merges_age
delete from conveyor_buffer_merges
where job_id in (
  select job_id
  from conveyor_buffer_merges
  where merged_at <= ?1
  order by merged_at
  limit ?2
)
