-- Whether the table of migrations is there, and whether what the first of them makes is.
-- parameters: none
-- index: none: it reads the schema
select total(name = 'migrations'), total(name = 'live')
from sqlite_master
where type = 'table'
