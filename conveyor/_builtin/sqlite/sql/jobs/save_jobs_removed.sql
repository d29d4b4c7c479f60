-- Whether the job of this id that was removed lately is the one that is being added.
-- parameters: 1 id, 2 queue, 3 name, 4 payload
-- index: removed_job
select max(queue = ?2 and name = ?3 and payload = ?4)
from removed
where job_id = ?1
