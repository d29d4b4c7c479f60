-- Keeps a new batch job, unless its id is taken.
-- parameters: 1 id, 2 batch type, 3 status, 4 context, 5 now, 6 dry run, 7 confirmation, 8 created by, 9 identity,
--   10 id of the parent, 11 id of the job, 12 history, 13 digest of the creation
-- index: primary key and batches_identity of batches
insert into conveyor.batches (
  id, batch_type, status, context, created_at, updated_at, dry_run, confirmation, created_by, identity, parent_id,
  job_id, history, digest
)
values ($1, $2, $3, $4, $5, $5, $6, $7, $8, $9, $10, $11, $12, $13)
on conflict (id) do nothing
