-- Forgets events up to a number.
-- parameters: 1 number
-- index: primary key of events
delete from events
where seq <= ?1
