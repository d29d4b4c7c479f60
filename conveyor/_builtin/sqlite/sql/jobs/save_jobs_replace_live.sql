-- Places a job that no run has begun as its new options say.
-- parameters: 1 job id, 2 state, 3 priority, 4 due at, or null: as it is, 5 whether it has the option lifo, 6 until when it
--   must have started, or null, 7 group or null
-- index: unique (id) of jobs
update conveyor_live
set state = ?2,
    priority = ?3,
    order_at = case when ?5 then -1 - coalesce(?4, run_at) else coalesce(?4, run_at) end,
    order_seq = case when ?5 then -1 - seq else seq end,
    run_at = coalesce(?4, run_at),
    expires_at = ?6,
    group_id = ?7
where seq = (select jobs.seq from conveyor_jobs as jobs where jobs.id = ?1)
