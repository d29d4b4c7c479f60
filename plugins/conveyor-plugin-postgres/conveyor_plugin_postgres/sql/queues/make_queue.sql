-- Makes a queue known.
-- parameters: 1 queue
-- index: queues_name
insert into conveyor.queues (name)
select $1
where not exists (select from conveyor.queues as known where known.name = $1)
