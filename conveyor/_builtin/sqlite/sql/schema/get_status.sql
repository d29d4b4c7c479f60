-- The migrations that were applied.
-- parameters: none
-- index: primary key of conveyor_migrations
select version, checksum
from conveyor_migrations
