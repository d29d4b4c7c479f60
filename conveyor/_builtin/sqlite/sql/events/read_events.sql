-- Events of a queue (all: empty) after a number, oldest first.
-- parameters: 1 number, 2 queue, 3 how many
-- index: primary key of conveyor_events
select seq, at, kind, queue, job_id, name, data, count
from conveyor_events
where seq > ?1
  and ?2 in ('', queue)
order by seq
limit ?3
