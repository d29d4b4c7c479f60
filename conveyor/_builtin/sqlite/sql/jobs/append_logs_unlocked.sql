-- Appends a line about a job that exists.
-- parameters: 1 job id, 2 message, 3 now
-- index: unique (id) of jobs
insert into conveyor_logs (job_id, message, at, attempt, session_id, fetch_number)
select id, ?2, ?3, case when state = 'active' then attempts_made + 1 end,
       case when state = 'active' then session_id end, case when state = 'active' then fetch_number end
from conveyor_job_records
where id = ?1
