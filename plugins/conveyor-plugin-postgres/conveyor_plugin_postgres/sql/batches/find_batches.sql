-- Batch jobs that match, the newest first.
-- parameters: 1 types or null, 2 statuses or null, 3 created by or null, 4 id of the parent or null,
--   5 created from or null, 6 created before or null, 7 and 8 time and id of the last of the page before, or null,
--   9 what their ids begin with or null, 10 how many
-- index: batches_newest
select id, batch_type, status, context, created_at, updated_at, dry_run, confirmation, created_by, identity, parent_id,
       revision, run, run_started_at, run_started_from, job_id, steps, cursor, done, total, counts, message, result,
       error, retries, parts, parts_done, history
from conveyor.batches
where created_at <= coalesce($7::timestamptz, 'infinity')
  and ($7::timestamptz is null or created_at < $7 or id > $8::text)
  and created_at >= coalesce($5::timestamptz, '-infinity')
  and created_at < coalesce($6::timestamptz, 'infinity')
  and ($1::text[] is null or batch_type = any($1))
  and ($2::text[] is null or status = any($2))
  and ($3::text is null or created_by = $3)
  and ($4::text is null or parent_id = $4)
  and ($9::text is null or starts_with(id, $9))
order by created_at desc, id
limit $10
