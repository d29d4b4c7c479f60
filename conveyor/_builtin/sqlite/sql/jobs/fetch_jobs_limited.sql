-- Locks waiting jobs of a queue with limits or groups.
-- parameters: 1 session id, 2 fetch number, 3 now, 4 seqs as a JSON array, 5 whether they are counted while they run
-- index: primary key of conveyor_live
update conveyor_live
set state = 'active', session_id = ?1, fetch_number = ?2, started_at = ?3, is_limited = ?5
where seq in (select value from json_each(?4))
  and state = 'waiting'
