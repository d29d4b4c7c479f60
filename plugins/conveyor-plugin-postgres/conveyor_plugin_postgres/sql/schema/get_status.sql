-- The migrations that were applied.
select version, checksum
from conveyor.migrations
