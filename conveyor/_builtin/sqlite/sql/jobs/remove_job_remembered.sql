-- Remembers for a while how a settled job ended that is about to be removed by that.
-- parameters: 1 job id
-- index: unique (id) of jobs
insert into conveyor_removed (job_id, session_id, fetch_number, outcome, state, finished_at, result, error)
select ?1, coalesce(session_id, ''), coalesce(fetch_number, 0), coalesce(outcome, ''), state, finished_at, result, error
from conveyor_history
where seq = (select jobs.seq from conveyor_jobs as jobs where jobs.id = ?1)
