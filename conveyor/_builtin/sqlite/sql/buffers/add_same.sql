-- The digests of the adds of jobs in buffers.
-- parameters: 1 ids as a JSON array
-- index: unique (id) of buffered
select id, digest
from buffered
where id in (select value from json_each(?1))
