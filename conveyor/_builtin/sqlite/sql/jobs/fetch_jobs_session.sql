-- Which fetches of a session took place.
-- parameters: 1 session id
-- index: primary key of conveyor_sessions
select highest_fetch, recent_fetches
from conveyor_sessions
where id = ?1
