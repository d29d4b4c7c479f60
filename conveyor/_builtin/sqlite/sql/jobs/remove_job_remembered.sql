-- Remembers for a while how a settled job ended that is about to be removed by that.
-- parameters: 1 job id
-- index: unique (id) of jobs
insert into removed (job_id, session_id, fetch_number, outcome, state, finished_at, result, error)
select ?1, coalesce(session_id, ''), coalesce(fetch_number, 0), coalesce(outcome, ''), state, finished_at, result, error
from history
where seq = (select jobs.seq from jobs where jobs.id = ?1)
