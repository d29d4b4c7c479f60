-- Forgets that a queue had a job with a group.
-- parameters: 1 queue
-- index: new_guards_queue
delete from conveyor.new_guards
where queue = $1
