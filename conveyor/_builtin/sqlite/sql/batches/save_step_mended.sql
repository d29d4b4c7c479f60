-- Forgets the error of a row that is bad no more.
-- parameters: 1 id of the batch job, 2 number of the row
-- index: primary key of conveyor_batch_errors
delete from conveyor_batch_errors
where batch_id = ?1
  and row_number = ?2
