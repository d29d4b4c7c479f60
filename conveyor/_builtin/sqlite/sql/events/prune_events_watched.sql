-- Whether anybody watches.
-- parameters: none
-- index: primary key of conveyor_watchers
select exists (select 1 from conveyor_watchers)
