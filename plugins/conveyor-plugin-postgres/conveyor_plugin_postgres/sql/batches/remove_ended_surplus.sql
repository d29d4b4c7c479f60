-- Batch jobs that have ended, and more of their type have later than are kept, the oldest end first, but for those whose
-- bad rows another one takes up; nobody else changes them until the transaction ends.
-- parameters: 1 how many of each type are kept, 2 those that ended so long ago are not meant; or null, 3 how many,
--   4 now or null
-- index: batches_ended, batches_takers
select id, batch_type, status, context, created_at, updated_at, dry_run, confirmation, created_by, identity, parent_id,
       revision, run, run_started_at, run_started_from, job_id, steps, cursor, done, total, counts, message, result,
       error, retries, parts, parts_done, history
from conveyor.batches
where id = any(array(
    select id
    from (
      select id, row_number() over (partition by batch_type order by ended_at desc, id desc) as place
      from conveyor.batches
      where ended_at is not null
    ) as ended
    where place > $1
  ))
  and ended_at > coalesce(coalesce($4::timestamptz, clock_timestamp()) - $2::interval, '-infinity')
  and not exists (
    select from conveyor.batches as takers
    where takers.parent_id = batches.id
      and takers.ended_at is null
  )
order by ended_at, id
limit $3
for no key update skip locked
