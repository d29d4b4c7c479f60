-- Batch jobs that wait for a job which is settled or not there, the oldest first.
-- parameters: 1 how many
-- index: batches_worked, primary key of live
select id, batch_type, status, context, created_at, updated_at, dry_run, confirmation, created_by, identity, parent_id,
       revision, run, run_started_at, run_started_from, job_id, steps, cursor, done, total, counts, message, result,
       error, retries, parts, parts_done, history
from conveyor.batches
where status in ('created', 'confirmed', 'processing', 'pausing', 'interrupted', 'cancelling')
  and not exists (select from conveyor.live where live.id = batches.job_id offset 0)
order by created_at, id
limit $1
