-- Forgets answers that were given long ago, or by a clock that was set back since.
-- parameters: 1 now, 2 how many at most, 3 until when an answer of now is remembered
-- index: primary key of conveyor_deduplicated_adds
delete from conveyor_deduplicated_adds
where seq < (select min(seq) from conveyor_deduplicated_adds) + ?2
  and (forget_at <= ?1 or forget_at > ?3)
