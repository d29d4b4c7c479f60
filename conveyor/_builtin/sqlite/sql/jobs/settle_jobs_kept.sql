-- Notes when a job that this run settled goes by its own option; once, for the same settlement may come again.
-- parameters: 1 job id, 2 session id, 3 fetch number, 4 outcome, 5 when to remove it
-- index: unique (id) of jobs
update conveyor_history
set remove_at = ?5
where seq = (select jobs.seq from conveyor_jobs as jobs where jobs.id = ?1)
  and session_id = ?2
  and fetch_number = ?3
  and outcome = ?4
  and remove_at is null
