-- The seq of the job that has this id, and whether it is the one that was to be added.
-- parameters: 1 id, 2 queue, 3 name, 4 payload
-- index: unique (id) of jobs
select seq, queue = ?2 and name = ?3 and coalesce(added_payload, payload) = ?4
from conveyor_jobs
where id = ?1
