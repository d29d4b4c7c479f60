-- The digest of the creation of a batch job that is there.
-- parameters: 1 id
-- index: primary key of conveyor_batches
select digest
from conveyor_batches
where id = ?1
