-- Batch jobs that match, the newest first.
-- parameters: 1 types, 2 statuses (each a JSON array or null), 3 created by or null, 4 id of the parent or null,
--   5 created from or null, 6 created before or null, 7 and 8 time and id of the last of the page before, or null,
--   9 what their ids begin with or null, 10 how many
-- index: conveyor_batches_newest
select id, batch_type, status, context, created_at, updated_at, dry_run, confirmation, created_by, identity, parent_id,
       revision, run, run_started_at, run_started_from, job_id, steps, cursor, done, total, counts, message, result,
       error, retries, parts, parts_done
from conveyor_batches
where created_at <= coalesce(?7, 9223372036854775807)
  and (?7 is null or created_at < ?7 or id > ?8)
  and created_at >= coalesce(?5, -9223372036854775808)
  and (?6 is null or created_at < ?6)
  and (?1 is null or batch_type in (select value from json_each(?1)))
  and (?2 is null or status in (select value from json_each(?2)))
  and (?3 is null or created_by = ?3)
  and (?4 is null or parent_id = ?4)
  and (?9 is null or substr(id, 1, length(?9)) = ?9)
order by created_at desc, id
limit ?10
