-- The time, and the digest of the creation of a batch job; null: there is none of this id.
-- parameters: 1 id, 2 now or null
-- index: primary key of batches
select coalesce($2::timestamptz, clock_timestamp()), (select digest from conveyor.batches where id = $1)
