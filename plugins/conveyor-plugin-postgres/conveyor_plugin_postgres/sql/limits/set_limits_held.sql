-- The limits of a queue, which nobody changes and nobody fetches by until the end of the transaction.
-- parameters: 1 queue
-- index: primary key of guards
select limits::text
from conveyor.guards
where queue = $1
for no key update
