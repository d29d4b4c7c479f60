-- Jobs that match, by id from the highest down.
-- parameters: 1 queues or null, 2 names or null, 3 states or null, 4 tags, 5 created from, 6 created to, 7 text in small
--   letters or null, 8 finished from, 9 finished to, 10 text of the error or null, 11 least attempts, 12 cursor or null,
--   13 how many
-- index: primary key of live, history_id, backwards
select *
from (
  select live.id, live.queue, live.name, live.payload, live.options, live.state, live.priority,
         live.attempts_made, live.stalled_count, live.created_at, live.run_at, live.started_at,
         null::timestamptz as finished_at, live.session_id, live.fetch_number, live.progress, null::bytea as result,
         live.error, live.expires_at
  from conveyor.live
  union all
  select history.id, history.queue, history.name, history.payload, history.options, history.state, history.priority,
         history.attempts_made, history.stalled_count, history.created_at, history.run_at, history.started_at,
         history.finished_at, history.session_id, history.fetch_number, history.progress, history.result,
         history.error, history.expires_at
  from conveyor.history
) as job
where ($1::text[] is null or job.queue = any($1::text[]))
  and ($2::text[] is null or job.name = any($2::text[]))
  and ($3::text[] is null or job.state = any($3::text[]))
  and (
    cardinality($4::text[]) = 0
    or (convert_from(job.options, 'UTF8')::jsonb -> 'tags') @> to_jsonb($4::text[])
  )
  and ($5::timestamptz is null or job.created_at >= $5)
  and ($6::timestamptz is null or job.created_at < $6)
  and (
    $7::text is null
    or strpos(lower(job.id), $7) > 0
    or strpos(lower(job.name), $7) > 0
    or strpos(lower(convert_from(job.payload, 'UTF8') collate "C"), $7) > 0
  )
  and ($8::timestamptz is null or job.finished_at >= $8)
  and ($9::timestamptz is null or job.finished_at < $9)
  and (
    $10::text is null
    or strpos(lower((convert_from(job.error, 'UTF8')::json ->> 'type') collate "C"), $10) > 0
    or strpos(lower((convert_from(job.error, 'UTF8')::json ->> 'message') collate "C"), $10) > 0
  )
  and job.attempts_made >= $11
  and ($12::text is null or job.id < $12::text collate "C")
order by job.id desc
limit $13
