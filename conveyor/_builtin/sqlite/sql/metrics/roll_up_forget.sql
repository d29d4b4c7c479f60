-- Forgets what was counted in one span.
-- parameters: 1 span in seconds, 2 when it begins, 3 queue, 4 name
-- index: primary key of conveyor_run_counts
delete from conveyor_run_counts
where span = ?1
  and start = ?2
  and queue = ?3
  and name = ?4
