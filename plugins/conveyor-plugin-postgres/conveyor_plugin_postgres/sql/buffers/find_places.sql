-- Those of some jobs that are in buffers.
-- parameters: 1 ids
-- index: primary key of buffered
select buffer, id, queue, name, payload, options, run_at, expires_at, deduplication, added_at
from conveyor.buffered
where id = any($1::text[])
