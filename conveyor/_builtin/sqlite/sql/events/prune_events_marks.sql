-- Forgets what was noted up to a time.
-- parameters: 1 time
-- index: primary key of conveyor_event_marks
delete from conveyor_event_marks
where at <= ?1
