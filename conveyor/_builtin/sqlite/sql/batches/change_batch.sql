-- Writes what a change makes of a batch job.
-- parameters: 1 id, 2 status, 3 now, 4 revision, 5 context, 6 run, 7 start of the run or null, 8 rows done then,
--   9 id of the job, 10 result, 11 total, 12 error, 13 retries
-- index: primary key of conveyor_batches
update conveyor_batches
set status = ?2,
    updated_at = ?3,
    revision = ?4,
    context = ?5,
    run = ?6,
    run_started_at = ?7,
    run_started_from = ?8,
    job_id = ?9,
    result = ?10,
    total = ?11,
    error = ?12,
    retries = ?13
where id = ?1
