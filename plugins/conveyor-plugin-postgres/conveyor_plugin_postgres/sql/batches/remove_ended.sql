-- Batch jobs that ended long ago, the oldest end first, but for those whose bad rows another one takes up; nobody else
-- changes them until the transaction ends.
-- parameters: 1 how old, 2 how many, 3 now or null
-- index: batches_ended, batches_takers
select id, batch_type, status, context, created_at, updated_at, dry_run, confirmation, created_by, identity, parent_id,
       revision, run, run_started_at, run_started_from, job_id, steps, cursor, done, total, counts, message, result,
       error, retries, parts, parts_done, history
from conveyor.batches
where ended_at <= coalesce($3::timestamptz, clock_timestamp()) - $1::interval
  and not exists (
    select from conveyor.batches as takers
    where takers.parent_id = batches.id
      and takers.ended_at is null
  )
order by ended_at, id
limit $2
for no key update skip locked
