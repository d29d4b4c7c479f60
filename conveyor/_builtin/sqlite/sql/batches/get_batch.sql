-- A batch job.
-- parameters: 1 id
-- index: primary key of conveyor_batches
select id, batch_type, status, context, created_at, updated_at, dry_run, confirmation, created_by, identity, parent_id,
       revision, run, run_started_at, run_started_from, job_id, steps, cursor, done, total, counts, message, result,
       error, retries, parts, parts_done
from conveyor_batches
where id = ?1
