-- How many bytes the database takes, without what still stands in the write-ahead log.
-- parameters: none
-- index: none: it reads the header of the file
select page_count * page_size
from pragma_page_count()
cross join pragma_page_size()
