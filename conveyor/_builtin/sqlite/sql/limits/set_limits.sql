-- Sets what limits hold for a queue that is known as one with limits.
-- parameters: 1 queue, 2 limits as JSON
-- index: primary key of conveyor_guards
update conveyor_guards
set limits = ?2
where queue = ?1
