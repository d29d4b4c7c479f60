-- Forgets events up to a number.
-- parameters: 1 number
-- index: primary key of conveyor_events
delete from conveyor_events
where seq <= ?1
