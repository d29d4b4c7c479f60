-- Whether the table of migrations is there. Reading pg_class makes the server look at what others did meanwhile; by
-- itself to_regclass may answer from what this connection knew before it waited for the lock.
select exists (select from pg_catalog.pg_class where oid = to_regclass('conveyor.migrations'))
