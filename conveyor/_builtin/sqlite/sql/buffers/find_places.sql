-- Those of some jobs that are in buffers.
-- parameters: 1 ids as a JSON array
-- index: unique (id) of buffered
select buffer, id, queue, name, payload, options, run_at, expires_at, deduplication, added_at
from conveyor_buffered
where id in (select value from json_each(?1))
