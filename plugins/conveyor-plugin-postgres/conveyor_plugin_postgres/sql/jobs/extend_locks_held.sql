-- The jobs that sessions hold.
-- parameters: 1 session ids
-- index: live_active
select id, session_id, fetch_number
from conveyor.live
where session_id = any($1::text[])
  and state = 'active'
order by seq
