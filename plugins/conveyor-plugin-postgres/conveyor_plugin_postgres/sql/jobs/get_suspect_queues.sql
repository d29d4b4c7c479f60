-- Those of the queues that have a waiting job that stalled before, and whose name is not paused; see the function.
-- parameters: 1 queues
-- index: live_suspects
select queue
from conveyor.suspect_queues($1) as queue
