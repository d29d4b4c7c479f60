-- Keeps how far a run is, unless it was lost or the step was saved before.
-- parameters: 1 id, 2 run, 3 number of the step, 4 now, 5 cursor, 6 done, 7 total or null, 8 counts as JSON, 9 message,
--   10 result or null
-- index: primary key of conveyor_batches
update conveyor_batches
set updated_at = ?4,
    revision = revision + 1,
    steps = ?3,
    cursor = ?5,
    done = ?6,
    total = coalesce(?7, total),
    counts = ?8,
    message = ?9,
    result = coalesce(?10, result),
    retries = case when ?6 > done or ?5 is not cursor then 0 else retries end
where id = ?1
  and run = ?2
  and status in ('processing', 'pausing', 'cancelling')
  and steps < ?3
