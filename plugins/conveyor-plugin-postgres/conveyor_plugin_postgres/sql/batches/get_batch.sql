-- A batch job.
-- parameters: 1 id
-- index: primary key of batches
select id, batch_type, status, context, created_at, updated_at, dry_run, confirmation, created_by, identity, parent_id,
       revision, run, run_started_at, run_started_from, job_id, steps, cursor, done, total, counts, message, result,
       error, retries, parts, parts_done, history
from conveyor.batches
where id = $1
