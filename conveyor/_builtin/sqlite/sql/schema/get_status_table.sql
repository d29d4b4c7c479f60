-- Whether any migration was applied.
-- parameters: none
-- index: none: it reads the schema
select count(*)
from sqlite_master
where type = 'table'
  and name = 'migrations'
