-- Makes the days of history that are to come, drops one that is outdated as a whole; returns how many jobs it had; see the
-- functions.
-- parameters: 1 queues, 2 longest age or null
-- index: history_finished, once for each other queue
select conveyor.drop_partition($1, $2, clock_timestamp())
from conveyor.make_partitions(clock_timestamp())
