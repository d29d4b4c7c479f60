-- The jobs that sessions hold, the oldest first; see the function.
-- parameters: 1 session ids
-- index: live_active
select held_id, of_session, of_fetch
from conveyor.held_jobs($1)
