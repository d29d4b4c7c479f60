-- Ends a live job, once it is in history or among the removed.
-- parameters: 1 job id, 2 session id, 3 fetch number
-- index: unique (id) of jobs
delete from jobs
where id = ?1
  and session_id = ?2
  and fetch_number = ?3
  and state = 'active'
