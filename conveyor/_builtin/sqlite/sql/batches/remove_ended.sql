-- Batch jobs that ended long ago, the oldest end first, but for those whose bad rows another one takes up.
-- parameters: 1 until when, 2 how many
-- index: conveyor_batches_ended, conveyor_batches_takers
select id, batch_type, status, context, created_at, updated_at, dry_run, confirmation, created_by, identity, parent_id,
       revision, run, run_started_at, run_started_from, job_id, steps, cursor, done, total, counts, message, result,
       error, retries, parts, parts_done
from conveyor_batches as batches
where status in ('cancelled', 'failed', 'completed', 'completed_with_errors')
  and updated_at <= ?1
  and not exists (
    select 1
    from conveyor_batches as takers
    where takers.parent_id = batches.id
      and takers.status not in ('cancelled', 'failed', 'completed', 'completed_with_errors')
  )
order by updated_at, id
limit ?2
