-- Lets nobody else make schedules until the transaction ends.
-- parameters: none
-- index: none
select pg_advisory_xact_lock(hashtextextended('conveyor.schedules', 0))
