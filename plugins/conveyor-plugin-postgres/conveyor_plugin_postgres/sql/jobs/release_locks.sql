-- Lets jobs wait again whose locks hold; see the function.
-- parameters: 1 job ids, 2 session ids, 3 fetch numbers
-- index: primary key of live
select released_id, of_session, of_fetch, of_queue
from conveyor.release_locks($1, $2, $3)
