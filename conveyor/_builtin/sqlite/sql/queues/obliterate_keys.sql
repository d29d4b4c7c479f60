-- Forgets every deduplication key of a queue.
-- parameters: 1 queue
-- index: unique (queue, name, key) of deduplication_keys
delete from conveyor_deduplication_keys
where queue = ?1
