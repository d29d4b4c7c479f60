-- Lets nobody else take an identity until the transaction ends.
-- parameters: 1 batch type and identity as one
-- index: none
select pg_advisory_xact_lock(hashtextextended('conveyor.batches ' || $1::text, 0))
