-- Remembers for a while how a settled job ended that is about to be removed by that.
-- parameters: 1 job id, 2 when it ended
-- index: history_id of one day
insert into conveyor.removed (job_id, session_id, fetch_number, outcome, state, finished_at, result, error)
select id, coalesce(session_id, ''), coalesce(fetch_number, 0), coalesce(outcome, ''), state, finished_at, result, error
from conveyor.history
where id = $1
  and finished_at = $2
