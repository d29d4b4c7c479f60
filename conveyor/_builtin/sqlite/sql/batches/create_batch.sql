-- Keeps a new batch job.
-- parameters: 1 id, 2 batch type, 3 status, 4 context, 5 now, 6 dry run, 7 confirmation, 8 created by, 9 identity,
--   10 id of the parent, 11 id of the job, 12 digest of the creation
-- index: primary key and conveyor_batches_identity of batches
insert into conveyor_batches (id, batch_type, status, context, created_at, updated_at, dry_run, confirmation,
                              created_by, identity, parent_id, revision, run_started_from, job_id, steps, done,
                              counts, retries, digest)
values (?1, ?2, ?3, ?4, ?5, ?5, ?6, ?7, ?8, ?9, ?10, 1, 0, ?11, 0, 0, '{}', 0, ?12)
