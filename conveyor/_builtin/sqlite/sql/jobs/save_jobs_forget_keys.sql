-- Forgets keys whose time is over.
-- parameters: 1 now, 2 how many at most
-- index: conveyor_deduplication_keys_until
delete from conveyor_deduplication_keys
where seq in (select seq from conveyor_deduplication_keys where until is not null
  and until <= ?1 order by until limit ?2)
