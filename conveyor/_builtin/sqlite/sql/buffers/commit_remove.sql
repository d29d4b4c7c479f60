-- Takes jobs out of a buffer.
-- parameters: 1 ids as a JSON array
-- index: unique (id) of buffered
delete from conveyor_buffered
where id in (select value from json_each(?1))
