-- Writes down what happened to a queue, if somebody watches it.
-- parameters: 1 now, 2 kind, 3 queue, 4 job name, 5 count
-- index: primary key of conveyor_watchers
insert into conveyor_events (at, kind, queue, job_id, name, count)
select ?1, ?2, ?3, '', ?4, ?5
where exists (select 1 from conveyor_watchers where queue in ('', ?3))
