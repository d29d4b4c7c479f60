-- The last event that was there at a time.
-- parameters: 1 time
-- index: primary key of conveyor_event_marks
select coalesce(max(seq), 0)
from conveyor_event_marks
where at <= ?1
