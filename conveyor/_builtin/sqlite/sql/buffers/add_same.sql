-- What those of some jobs were added with that are in buffers.
-- parameters: 1 ids as a JSON array
-- index: unique (id) of buffered
select id, queue, name, payload
from conveyor_buffered
where id in (select value from json_each(?1))
