-- Writes what a change makes of a batch job.
-- parameters: 1 id, 2 status, 3 now, 4 when it ended or null, 5 revision, 6 context, 7 run, 8 start of the run or null,
--   9 rows done then, 10 id of the job, 11 result, 12 total, 13 error, 14 retries, 15 history
-- index: primary key of batches
update conveyor.batches
set status = $2,
    updated_at = $3,
    ended_at = $4,
    revision = $5,
    context = $6,
    run = $7,
    run_started_at = $8,
    run_started_from = $9,
    job_id = $10,
    result = $11,
    total = $12,
    error = $13,
    retries = $14,
    history = $15
where id = $1
