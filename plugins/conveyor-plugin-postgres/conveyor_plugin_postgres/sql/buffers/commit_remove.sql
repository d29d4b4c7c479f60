-- Takes jobs out of a buffer.
-- parameters: 1 ids
-- index: primary key of buffered
delete from conveyor.buffered
where id = any($1::text[])
