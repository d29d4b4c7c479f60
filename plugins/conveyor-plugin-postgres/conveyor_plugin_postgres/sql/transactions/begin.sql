-- Whether a run owns its job.
-- parameters: 1 job id, 2 session id, 3 fetch number
-- index: primary key of live
select exists (
  select
  from conveyor.live
  where id = $1
    and session_id = $2
    and fetch_number = $3
    and state = 'active'
)
