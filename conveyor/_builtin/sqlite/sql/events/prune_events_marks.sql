-- Forgets what was noted up to a time.
-- parameters: 1 time
-- index: primary key of event_marks
delete from event_marks
where at <= ?1
