-- Spans of one length that begin before a time, the oldest first.
-- parameters: 1 span in seconds, 2 time, 3 how many
-- index: primary key of conveyor_run_counts
select start, queue, name, counts
from conveyor_run_counts
where span = ?1
  and start < ?2
order by start, queue, name
limit ?3
