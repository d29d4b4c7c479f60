-- A batch job, and the time; nobody else changes it until the transaction ends.
-- parameters: 1 id, 2 now or null
-- index: primary key of batches
select id, batch_type, status, context, created_at, updated_at, dry_run, confirmation, created_by, identity, parent_id,
       revision, run, run_started_at, run_started_from, job_id, steps, cursor, done, total, counts, message, result,
       error, retries, parts, parts_done, history,
       coalesce($2::timestamptz, clock_timestamp())
from conveyor.batches
where id = $1
for no key update
