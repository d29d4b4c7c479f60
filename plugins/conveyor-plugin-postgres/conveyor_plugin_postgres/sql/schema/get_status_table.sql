-- Whether the table of migrations is there, and whether what the first of them makes is; both at one moment. Reading
-- pg_class makes the server look at what others did meanwhile; by itself to_regclass may answer from what this connection
-- knew before it waited for the lock.
-- parameters: 1 schema
-- index: pg_class_relname_nsp_index
select
  exists (select from pg_catalog.pg_class where relnamespace = space.oid and relname = 'migrations'),
  exists (select from pg_catalog.pg_class where relnamespace = space.oid and relname = 'live')
from (select (select oid from pg_catalog.pg_namespace where nspname = $1)) as space(oid)
