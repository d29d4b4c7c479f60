-- Jobs that match, by id from the highest down.
-- parameters: 1 queues, 2 names, 3 states (each a JSON array or null), 4 tags (a JSON array), 5 created from or null,
--   6 created to or null, 7 text in lower case or null, 8 finished from or null, 9 finished to or null,
--   10 error in lower case or null, 11 how many attempts at least, 12 error group or null,
--   13 the id to go on after or null, 14 how many
-- index: unique (id) of jobs, backwards
select id, queue, name, payload, options, state, priority, attempts_made, stalled_count, created_at, run_at,
       started_at, finished_at, session_id, fetch_number, progress, result, error, expires_at
from conveyor_job_records
where (?1 is null or queue in (select value from json_each(?1)))
  and (?2 is null or name in (select value from json_each(?2)))
  and (?3 is null or state in (select value from json_each(?3)))
  and not exists (
    select 1
    from json_each(?4) as wanted
    where wanted.value not in (select value from json_each(cast(options as text), '$.tags'))
  )
  and (?5 is null or created_at >= ?5)
  and (?6 is null or created_at < ?6)
  and (
    ?7 is null
    or instr(lower(id), ?7)
    or instr(lower(name), ?7)
    or instr(lower(cast(payload as text)), ?7)
  )
  and (?8 is null or finished_at >= ?8)
  and (?9 is null or finished_at < ?9)
  and (
    ?10 is null
    or instr(lower(json_extract(cast(error as text), '$.type')), ?10)
    or instr(lower(json_extract(cast(error as text), '$.message')), ?10)
  )
  and attempts_made >= ?11
  and (?12 is null or (state = 'failed' and json_extract(cast(error as text), '$.fingerprint') = ?12))
  -- Every blob is greater than every text, so without a cursor this is all of them, by the same index.
  and id < coalesce(?13, x'')
order by id desc
limit ?14
