-- Whether the table of migrations is there, and whether what the first of them makes is.
-- parameters: none
-- index: none: it reads the schema
select total(name = 'conveyor_migrations'), total(name = 'conveyor_live')
from sqlite_master
where type = 'table'
