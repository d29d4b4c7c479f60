-- Writes down what happened to a queue, if somebody watches it.
-- parameters: 1 kind, 2 queue, 3 job name, 4 count
-- index: none: there are few watchers
insert into conveyor.events (kind, queue, name, count)
select $1, $2, $3, $4
where exists (select from conveyor.watchers where watchers.queue in ('', $2))
