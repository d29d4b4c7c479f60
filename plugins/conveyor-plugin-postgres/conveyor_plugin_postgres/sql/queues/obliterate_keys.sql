-- Forgets every deduplication key of a queue.
-- parameters: 1 queue
-- index: primary key of deduplication_keys
delete from conveyor.deduplication_keys
where queue = $1
