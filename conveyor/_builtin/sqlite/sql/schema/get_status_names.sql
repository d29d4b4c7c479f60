-- The names of all tables, whoever made them.
-- parameters: none
-- index: none: it reads the schema
select name
from sqlite_master
where type = 'table'
