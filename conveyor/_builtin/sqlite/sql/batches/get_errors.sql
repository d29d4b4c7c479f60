-- The errors of rows, by number.
-- parameters: 1 id of the batch job, 2 number after which, 3 how many
-- index: primary key of conveyor_batch_errors
select row_number, error
from conveyor_batch_errors
where batch_id = ?1
  and row_number > ?2
order by row_number
limit ?3
