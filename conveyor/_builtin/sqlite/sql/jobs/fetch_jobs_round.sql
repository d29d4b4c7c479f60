-- Notes where the round of a queue stands.
-- parameters: 1 queue, 2 time
-- index: primary key of conveyor_guards
update conveyor_guards
set round_at = ?2
where queue = ?1
