-- The digest of the creation of a batch job that is there.
-- parameters: 1 id
-- index: primary key of batches
select digest
from batches
where id = ?1
