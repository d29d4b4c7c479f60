-- Which other batch job of a type has an identity.
-- parameters: 1 id, 2 batch type, 3 identity
-- index: conveyor_batches_identity
select id
from conveyor_batches
where batch_type = ?2
  and identity = ?3
  and status not in ('failed', 'cancelled')
  and id <> ?1
