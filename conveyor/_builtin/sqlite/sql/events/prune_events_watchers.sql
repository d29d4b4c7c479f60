-- Forgets watchers whose time is over.
-- parameters: 1 now
-- index: none: there are few
delete from conveyor_watchers
where until <= ?1
