-- Which fetches of a session took place.
-- parameters: 1 session id
-- index: primary key of sessions
select highest_fetch, recent_fetches
from sessions
where id = ?1
