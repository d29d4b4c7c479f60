-- Lets no event be written any more of what `watch_events_rerun` is about.
-- parameters: none
-- index: none
drop trigger if exists conveyor_events_rerun
