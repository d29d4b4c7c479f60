-- Waits for the fetches that are on their way, each of which holds the row of its session.
-- parameters: none
-- index: none: it reads all sessions
select count(*)
from (select from conveyor.sessions for share) as seen
