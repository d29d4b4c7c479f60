-- Lets one process at a time migrate a schema; ends with the transaction.
-- parameters: 1 schema
select pg_advisory_xact_lock(hashtextextended('conveyor migrations of ' || $1, 0))
