-- Makes a settled job live again.
-- parameters: 1 job id, 2 new seq, 3 now, 4 name, 5 whether it has the option lifo, 6 state, 7 group or null
-- index: unique (id) of jobs
insert into conveyor_live (seq, queue, name, state, priority, order_at, order_seq, run_at, session_id, fetch_number,
                           group_id)
select ?2, queue, ?4, ?6, priority, case when ?5 then -1 - ?3 else ?3 end, case when ?5 then -1 - ?2 else ?2 end,
       ?3, session_id, fetch_number, ?7
from conveyor_history
where seq = (select jobs.seq from conveyor_jobs as jobs where jobs.id = ?1)
