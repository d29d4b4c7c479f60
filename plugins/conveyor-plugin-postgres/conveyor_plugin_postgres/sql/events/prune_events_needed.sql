-- Whether there is anything to forget.
-- parameters: none
-- index: none
select exists (select from conveyor.watchers) or exists (select from conveyor.events)
