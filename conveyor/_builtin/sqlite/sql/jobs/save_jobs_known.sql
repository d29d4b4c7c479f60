-- Whether a job of this id exists, and whether it is the one that is being added.
-- parameters: 1 id, 2 queue, 3 name, 4 payload
-- index: unique (id) of jobs, primary key of history
select queue = ?2 and name = ?3 and coalesce(added_payload, payload) = ?4
from jobs
where id = ?1
union all
select queue = ?2 and name = ?3 and coalesce(added_payload, payload) = ?4
from history
where id = ?1
