-- The migrations that were applied.
-- parameters: none
-- index: primary key of migrations
select version, checksum
from migrations
