-- Writes what becomes of a part: when it begins, gets another job, is stepped and ends.
-- parameters: 1 id of the batch job, 2 number, 3 id of the job, 4 run or null, 5 steps, 6 cursor or null, 7 done,
--   8 counts as JSON, 9 is done, 10 error or null
-- index: primary key of conveyor_batch_parts
update conveyor_batch_parts
set job_id = ?3,
    run = ?4,
    steps = ?5,
    cursor = ?6,
    done = ?7,
    counts = ?8,
    is_done = ?9,
    error = ?10
where batch_id = ?1
  and number = ?2
