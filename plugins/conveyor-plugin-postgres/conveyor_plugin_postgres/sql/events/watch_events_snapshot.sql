-- What is committed by now.
-- parameters: none
-- index: none
select pg_current_snapshot()::text, (select coalesce(max(seq), 0) from conveyor.events)
