-- Batch jobs that have ended, and more of their type have later than are kept, the oldest end first, but for those whose
-- bad rows another one takes up.
-- parameters: 1 how many of each type are kept, 2 those that ended until then are not meant, 3 how many
-- index: conveyor_batches_ended, conveyor_batches_takers
select id, batch_type, status, context, created_at, updated_at, dry_run, confirmation, created_by, identity, parent_id,
       revision, run, run_started_at, run_started_from, job_id, steps, cursor, done, total, counts, message, result,
       error, retries, parts, parts_done
from (
    select *, row_number() over (partition by batch_type order by updated_at desc, id desc) as place
    from conveyor_batches
    where status in ('cancelled', 'failed', 'completed', 'completed_with_errors')
      and updated_at > ?2
) as batches
where place > ?1
  and not exists (
    select 1
    from conveyor_batches as takers
    where takers.parent_id = batches.id
      and takers.status not in ('cancelled', 'failed', 'completed', 'completed_with_errors')
  )
order by updated_at, id
limit ?3
