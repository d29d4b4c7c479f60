-- Batch jobs that wait for a job which is settled or not there, the oldest first.
-- parameters: 1 how many
-- index: conveyor_batches_worked, unique (id) of jobs, primary key of conveyor_live
select id, batch_type, status, context, created_at, updated_at, dry_run, confirmation, created_by, identity, parent_id,
       revision, run, run_started_at, run_started_from, job_id, steps, cursor, done, total, counts, message, result,
       error, retries, parts, parts_done
from conveyor_batches as batches
where status in ('created', 'confirmed', 'processing', 'pausing', 'interrupted', 'cancelling')
  and not exists (
    select 1
    from conveyor_jobs as jobs
    join conveyor_live as live on live.seq = jobs.seq
    where jobs.id = batches.job_id
  )
order by created_at, id
limit ?1
