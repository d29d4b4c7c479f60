-- Lets no event be written any more of what `watch_events_progress` is about.
-- parameters: none
-- index: none
drop trigger if exists conveyor_events_progress
