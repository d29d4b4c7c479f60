-- Every session, in the order in which they were opened.
-- parameters: none
-- index: none: it reads the whole table
select id, hostname, pid, backend, opened_at, expires_at, queue_names
from sessions
order by opened_at, id
