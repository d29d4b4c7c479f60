-- Ends the live jobs whose runs, all of one fetch, settled them.
-- parameters: 1 job ids as a JSON array, 2 session id, 3 fetch number
-- index: unique (id) of jobs
delete from conveyor_live
where seq in (select jobs.seq from json_each(?1) as ended cross join conveyor_jobs as jobs on jobs.id = ended.value)
  and session_id = ?2
  and fetch_number = ?3
  and state = 'active'
